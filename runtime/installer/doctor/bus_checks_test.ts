import assert from "node:assert/strict";
import type { BusReader, FoundReader, LineFinding, Trial } from "./bus_trial.ts";
import { judgeBus, type TriedBus } from "./bus_checks.ts";

function reader(address: number, options: object = {}, devicesMax = 127): BusReader {
  const driver = { id: devicesMax === 1 ? "ascii" : "osdp", devicesMax };
  return {
    id: `r${address}`,
    on: "bus",
    bus: "bus",
    door: "main",
    driver,
    options: { address, ...options },
  } as unknown as BusReader;
}

function judge(more: Partial<TriedBus>, online: boolean, trial: Partial<Trial> = {}) {
  const readers = more.readers ?? [reader(1)];
  const states = new Map(
    readers.map((one) => [one.id, { online, identity: undefined, reads: 0 }]),
  );
  const tried = { receivedBytes: 0, sample: new Uint8Array(), lineErrors: undefined, ...trial };
  const [finding] = judgeBus({
    id: "bus",
    path: "/dev/ttyUSB0",
    baudRate: 9_600,
    found: [],
    ...more,
    readers,
    trial: { kind: "tried", readers: states, ...tried } as Trial,
  });
  return finding!;
}

const found = (more: Partial<FoundReader>): FoundReader => ({
  kind: "reader",
  baudRate: 9_600,
  address: 1,
  identity: undefined,
  security: "clear",
  clearText: true,
  ...more,
});

Deno.test("each way of not answering has its own finding", () => {
  assert.equal(judge({}, true).severity, "ok");
  const what = (more: Partial<TriedBus>, trial: Partial<Trial> = {}) =>
    judge(more, false, trial).what.en;
  assert.match(
    what({ found: [found({ baudRate: 38_400 })] }),
    /talks at 38400, box.yaml says 9600/,
  );
  assert.match(what({ found: [found({ address: 5 })] }), /there is a reader at 5 that/);
  assert.match(what({ found: [found({ address: 5, baudRate: 19_200 })] }), /5 \(19200 baud\)/);
  assert.match(what({ found: [found({ address: undefined })] }), /answers where all do/);
  const locked = found({ security: "key-needed", clearText: false });
  assert.match(what({ found: [locked] }), /wants a key/);
  const both: LineFinding = { kind: "collision", baudRate: 9_600, address: 1 };
  assert.match(what({ found: [both] }), /collide: two readers have it/);
  const keyed = { readers: [reader(1, { key: "00" })] };
  assert.match(what({ ...keyed, found: [found({ security: "key-needed" })] }), /key mismatch/);
  assert.match(what({ ...keyed, found: [found({})] }), /none is installed/);
  assert.match(what({ found: [found({})] }), /not steadily/);
  assert.match(what({}, { lineErrors: 12 }), /12 framing errors or breaks.*A and B/);
  assert.match(
    what({}, { receivedBytes: 9, sample: Uint8Array.of(0xff, 0x00) }),
    /no frames \(ff 00\): A and B may be/,
  );
  const noise: LineFinding = { kind: "noise", baudRate: 9_600, bytes: 9 };
  assert.match(what({ found: [noise] }), /no frames.*A and B may be/);
  assert.match(what({}, { receivedBytes: 2 }), /^no reply at address 1 and 9600 baud/);
});

Deno.test("a reader that only sends is heard, misunderstood, or silent", () => {
  const readers = [reader(0, {}, 1)];
  assert.equal(judge({ readers }, true).severity, "info");
  const garbled = judge({ readers }, true, { receivedBytes: 20, sample: Uint8Array.of(7) });
  assert.match(garbled.advice!.en, /TTL and RS-232 levels are inverse/);
});
