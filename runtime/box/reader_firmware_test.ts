/** What the box does with an order: readers are stood in for by what they say and take. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { CardReader, ReaderFileOptions, ReaderIdentity } from "../../drivers/contract.ts";
import { HalError } from "../../hal/mod.ts";
import { VirtualClock } from "../../hal/sim/mod.ts";
import { readReport, writeOrder } from "../../ota/firmware/order.ts";
import { jsonLog } from "../log.ts";
import { FirmwareCourier } from "./reader_firmware.ts";

const FILE = new Uint8Array(100_000).map((_, index) => index % 251);
const SHA256 = createHash("sha256").update(FILE).digest("hex");

/** A reader that takes 10 kB a second and says `after` then. */
class Reader {
  is: ReaderIdentity | undefined;
  after = "1.6.0";
  fails: string | undefined;
  readonly from: number[] = [];
  readonly clock: VirtualClock;

  constructor(clock: VirtualClock, model = 1, firmware = "1.4.2") {
    this.clock = clock;
    this.is = { vendor: "0a0017", model, version: 1, serial: "00", firmware };
  }

  device(): CardReader {
    return {
      firmware: {
        identity: () => this.is,
        take: async (file, options, signal) => await this.#take(file.size, options, signal),
      },
    } as Partial<CardReader> as CardReader;
  }

  async #take(size: number, { fromOffset = 0, onProgress }: ReaderFileOptions, end: AbortSignal) {
    this.from.push(fromOffset);
    for (let at = fromOffset; at < size; at += 10_000) {
      await this.clock.sleep(1_000, end);
      if (this.fails !== undefined) throw new HalError("protocol", this.fails);
      onProgress?.(Math.min(at + 10_000, size));
    }
    this.is = { ...this.is!, firmware: this.after };
  }
}

async function desk(make: (clock: VirtualClock) => Readonly<Record<string, Reader>>) {
  const folder = await Deno.makeTempDir({ prefix: "courier-" });
  const clock = new VirtualClock();
  const readers = make(clock);
  const [order, report, file] = ["order.json", "report.json", "file"].map((name) =>
    join(folder, name)
  ) as [string, string, string];
  await Deno.writeFile(file, FILE);
  const recorded: string[] = [];
  const log = jsonLog(clock, () => {}, "error");
  const start = () =>
    new FirmwareCourier({
      readers: new Map(Object.entries(readers).map(([id, reader]) => [id, reader.device()])),
      ...{ order, report, clock, log },
      record: (event) => recorded.push(JSON.stringify(event)),
    });
  /** Real files are read in between: time goes on in small steps. */
  const run = async (seconds: number) => {
    for (let s = 0; s < seconds * 2; s++) {
      await clock.advance(500);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  return {
    ...{ order, report, file, clock, start, run, recorded },
    give: () =>
      writeOrder(order, {
        ...{ sha256: SHA256, file, vendor: "0a0017", model: 1, version: "1.6.0", fileType: 1 },
      }),
    said: () =>
      readReport(report)?.readers.map((one) =>
        `${one.reader} ${one.state} ${one.detail ?? ""}`.trim()
      ),
    over: () => readReport(report)?.over,
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

Deno.test("only readers of the model that lack it are given the file, one after the other", async () => {
  let readers: Record<string, Reader> = {};
  await using at = await desk((clock) =>
    readers = {
      a: new Reader(clock),
      other: new Reader(clock, 2),
      has: new Reader(clock, 1, "1.6.0"),
      b: new Reader(clock),
    }
  );
  await using _courier = at.start();
  await at.run(5);
  assert.equal(at.over(), undefined, "it began without an order");
  at.give();
  await at.run(8);
  assert.deepEqual(at.said(), ["a sending", "has done", "b waiting"]);
  await at.run(30);
  assert.deepEqual(at.said(), ["a done", "has done", "b done"]);
  assert.equal(at.over(), true);
  assert.deepEqual(Object.values(readers).map(({ from }) => from.length), [1, 0, 0, 1]);
  assert.deepEqual(at.recorded, [
    '{"kind":"reader.firmware","reader":"a","firmware":"1.6.0"}',
    '{"kind":"reader.firmware","reader":"b","firmware":"1.6.0"}',
  ]);
  // It stays done for as long as the order lies there.
  await at.run(30);
  assert.equal(readers.a!.from.length, 1);
});

Deno.test("after a restart it goes on where it was; after the first failure no other is touched", async () => {
  let readers: Record<string, Reader> = {};
  await using at = await desk((clock) =>
    readers = { a: new Reader(clock), b: new Reader(clock), c: new Reader(clock) }
  );
  at.give();
  {
    await using _courier = at.start();
    await at.run(8);
  }
  assert.equal(at.over(), false);
  readers.b!.fails = "it is not for me";
  await using _courier = at.start();
  await at.run(40);
  const [first, again] = readers.a!.from;
  assert.equal(first, 0);
  assert.ok(again! >= 20_000, `it went on at ${again}`);
  assert.deepEqual(at.said(), ["a done", "b failed it is not for me", "c waiting"]);
  assert.equal(at.over(), true);
  assert.equal(readers.c!.from.length, 0);
});

Deno.test("one that does not say who it is, or says another version, is a failure", async () => {
  let readers: Record<string, Reader> = {};
  await using at = await desk((clock) => readers = { a: new Reader(clock), b: new Reader(clock) });
  readers.b!.is = undefined;
  at.give();
  await using _courier = at.start();
  await at.run(100);
  assert.equal(at.over(), undefined, "a reader that is just restarting is waited for");
  await at.run(40);
  assert.match(at.said()!.join(), /b failed it does not answer/);
  assert.equal(readers.a!.from.length, 0, "another was put at risk");
  assert.equal(at.over(), true);

  await using lies = await desk((clock) => readers = { a: new Reader(clock) });
  readers.a!.after = "1.5.9";
  lies.give();
  await using _other = lies.start();
  await lies.run(60);
  assert.deepEqual(lies.said(), ["a failed it took the file and says firmware 1.5.9, not 1.6.0"]);
  assert.deepEqual(lies.recorded, []);
});

Deno.test("an order that is withdrawn ends the transfer; a file that is not the signed one is given to nobody", async () => {
  let readers: Record<string, Reader> = {};
  await using at = await desk((clock) => readers = { a: new Reader(clock) });
  at.give();
  await using _courier = at.start();
  await at.run(6);
  await Deno.remove(at.order);
  await at.run(20);
  assert.equal(readers.a!.is!.firmware, "1.4.2", "it was given the whole file");
  await Deno.writeFile(at.file, FILE.with(5, 0));
  at.give();
  await at.run(6);
  assert.deepEqual(at.said(), []);
  assert.match(readReport(at.report)!.fault!, /not what was signed/);
  assert.equal(readers.a!.from.length, 1);
});
