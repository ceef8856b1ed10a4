/**
 * A real box whose files are spoilt, whose line babbles and whose local port is abused: the door
 * works all the while, and what happened is on record.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  type Bench,
  bench,
  clock,
  kinds,
  load,
  POLICY,
  until,
  ZHANG,
} from "../support/gate_bench.ts";

const { signal } = new AbortController();

/** Taps until the door opens, then waits until it is locked again. */
async function passes(site: Bench): Promise<void> {
  await until("the door opens", async () => {
    site.inside.present(32, ZHANG);
    await clock.sleep(250, signal);
    return site.inside.output(0);
  });
  await until("and locks again", () => !site.inside.output(0));
}

function random(seed: number): () => number {
  let word = seed >>> 0;
  return () => (word = (Math.imul(word, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}

const SPOILT: readonly [string, (path: string) => void][] = [
  [
    "random bytes",
    (path) => Deno.writeFileSync(path, crypto.getRandomValues(new Uint8Array(9000))),
  ],
  ["cut in half", (path) => Deno.truncateSync(path, Math.floor(Deno.statSync(path).size / 2))],
  ["pages overwritten", (path) => {
    const file = Deno.openSync(path, { write: true });
    file.seekSync(4096, Deno.SeekMode.Start);
    file.writeSync(new Uint8Array(40_000).fill(0x5a));
    file.close();
  }],
];

for (const [how, spoil] of SPOILT) {
  Deno.test(`a journal (${how}) at start is set aside, and the door works`, async () => {
    await using site = await bench();
    await load(site, POLICY);
    {
      await using _box = await site.start();
      await passes(site);
    }
    spoil(join(site.data, "journal.db"));
    for (const suffix of ["-wal", "-shm"]) {
      await Deno.remove(join(site.data, `journal.db${suffix}`)).catch(() => {});
    }
    await using _box = await site.start();
    await passes(site);
    await until(
      "the loss is on record",
      async () => kinds(await site.events()).includes("journal.replaced"),
    );
    const events = await site.events();
    assert.ok(kinds(events).includes("access.granted"));
    assert.ok((events[0]!.epoch as number) >= 2, "a new epoch");
    const kept = Array.from(Deno.readDirSync(site.data), (entry) => entry.name)
      .filter((name) => name.endsWith(".corrupt"));
    assert.equal(kept.length, 1, "the spoilt file is kept for whoever asks why");
  });
}

const replacements = async (site: Bench) =>
  kinds(await site.events()).filter((kind) => kind === "journal.replaced").length;

Deno.test("a journal that is deleted under a running box is replaced, and the door works", async () => {
  await using site = await bench();
  await load(site, POLICY);
  await using _box = await site.start();
  await passes(site);
  await Deno.remove(join(site.data, "journal.db"));
  await passes(site);
  await until("the replacement is on record", async () =>
    // The reader may meet the file just as it is replaced.
    await replacements(site).catch(() => 0) === 1);
});

Deno.test("a journal that is spoilt under a running box: the door works, and a restart finds out", async () => {
  await using site = await bench();
  await load(site, POLICY);
  {
    await using _box = await site.start();
    await passes(site);
    for (const name of ["journal.db", "journal.db-wal"]) {
      const path = join(site.data, name);
      const { size } = await Deno.stat(path);
      await Deno.writeFile(path, new Uint8Array(Math.max(size, 8192)).fill(0xa5), {
        create: false,
      });
    }
    await passes(site);
  }
  await using _box = await site.start();
  await passes(site);
  assert.equal(await replacements(site), 1);
});

Deno.test("a line that babbles does not stop the door, and opens nothing by itself", async () => {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
  console.log(`seed ${seed}`);
  const next = random(seed);
  await using site = await bench();
  await load(site, POLICY);
  await using _box = await site.start();
  for (let burst = 0; burst < 100; burst++) {
    const noise = Uint8Array.from(
      { length: Math.floor(next() * 200) },
      () => next() < 0.2 ? 0x53 : next() * 256,
    );
    await site.pair.port.write(noise, signal);
    await clock.sleep(20, signal);
  }
  const granted = async () =>
    kinds(await site.events()).filter((kind) => kind === "access.granted").length;
  assert.equal(await granted(), 0, "noise is no card");
  await passes(site);
  assert.ok(await granted() >= 1);
});

Deno.test("the local port takes abuse: everything is answered or cut off, and the door works", async () => {
  await using site = await bench();
  await load(site, POLICY);
  await using box = await site.start();
  const { api } = await box.findJson({ message: "box started" });
  const answers = await Promise.all([
    fetch(`${api}/`),
    fetch(`${api}/../../etc/passwd`),
    fetch(`${api}/healthz`, { method: "POST", body: "x".repeat(1 << 20) }),
    fetch(`${api}/simulated/readers/in/card`, { method: "POST", body: "{}" }),
    fetch(`${api}/${"a".repeat(8_000)}`),
  ].map((answer) =>
    answer.then((response) => response.body?.cancel().then(() => response.status))
  ));
  assert.deepEqual(
    answers,
    [404, 404, 404, 404, 404],
    "real readers cannot be tapped from the network",
  );
  const { hostname, port } = new URL(String(api));
  for (const bytes of ["GET / HTTP/9.9\r\n\r\n", "\0\0\0\0", "GET ".repeat(50_000)]) {
    using connection = await Deno.connect({ hostname, port: Number(port) });
    // A peer that cuts the line off while we write is an answer too.
    await connection.write(new TextEncoder().encode(bytes)).catch(() => {});
  }
  await passes(site);
});
