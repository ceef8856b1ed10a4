import assert from "node:assert/strict";
import { rs485Line, VirtualClock } from "../../../hal/sim/mod.ts";
import {
  type SimulatedOsdpReader,
  type SimulatedReaderOptions,
  simulateOsdpReaders,
} from "../../../hal/sim/osdp_reader/mod.ts";
import { HalError } from "../../../hal/mod.ts";
import { discoverOsdp, type OsdpDiscoveryOptions, type OsdpFinding } from "./mod.ts";

const KEY = Uint8Array.fromHex("000102030405060708090a0b0c0d0e0f");

/** Readers, each with a transceiver and baud rate of its own, and somebody who searches them. */
function bench(...readers: (SimulatedReaderOptions & { readonly baudRate: number })[]) {
  const clock = new VirtualClock();
  const line = rs485Line(clock);
  const abort = new AbortController();
  const devices: SimulatedOsdpReader[] = readers.map((options) =>
    simulateOsdpReaders(line.join(options.baudRate), clock, [options], abort.signal).readers[0]!
  );
  const opened: number[] = [];
  const seen: { finding: OsdpFinding; atMs: number }[] = [];
  let refuses: number | undefined;
  const search = async (options: OsdpDiscoveryOptions = {}, signal = abort.signal) => {
    let over = false;
    const onFinding = (finding: OsdpFinding) => seen.push({ finding, atMs: clock.monotonicMs() });
    const openPort = (baudRate: number) => {
      if (baudRate === refuses) return Promise.reject(new HalError("invalid", "no such rate"));
      opened.push(baudRate);
      return Promise.resolve(line.join(baudRate));
    };
    const running = discoverOsdp({ clock, openPort }, { onFinding, ...options }, signal)
      .finally(() => over = true);
    running.catch(() => {});
    while (!over) await clock.advance(50);
    return await running;
  };
  return {
    clock,
    line,
    devices,
    opened,
    seen,
    search,
    refuse: (baudRate: number) => refuses = baudRate,
    abort,
  };
}

const places = (findings: readonly OsdpFinding[]) =>
  findings.map((one) =>
    one.kind === "noise"
      ? `noise ${one.baudRate}`
      : `${one.kind} ${one.baudRate} ${one.address ?? "?"}`
  );

Deno.test("one reader from the box is found in a second, with all that an installer asks", async () => {
  const it = bench({ address: 0, baudRate: 9_600, serial: 0xc0ffee, installMode: true });
  const { findings } = await it.search({ firstOnly: true });
  assert.deepEqual(places(findings), ["reader 9600 0"]);
  const [found] = findings;
  assert.ok(found?.kind === "reader");
  assert.deepEqual(found.identity, {
    vendor: "0a0017",
    model: 1,
    version: 1,
    serial: "00c0ffee",
    firmware: "1.4.2",
  });
  assert.equal(found.check, "crc");
  assert.equal(found.security, "default-key");
  assert.equal(found.clearText, true);
  assert.ok(found.capabilities.some((one) => one.function === 9 && one.count === 1));
  assert.ok(it.clock.monotonicMs() < 1_000, `${it.clock.monotonicMs()} ms`);
});

Deno.test("a usual address at a rare rate is found within seven seconds", async () => {
  const it = bench({ address: 1, baudRate: 230_400, key: KEY, secureOnly: true });
  const { findings } = await it.search({ firstOnly: true });
  const [found] = findings;
  assert.ok(found?.kind === "reader" && found.address === 1 && found.baudRate === 230_400);
  assert.equal(found.security, "own-key");
  assert.equal(found.clearText, false);
  assert.ok(it.clock.monotonicMs() < 7_000, `${it.clock.monotonicMs()} ms`);
});

Deno.test("several readers are each found at their address, and no other rate is tried then", async () => {
  const it = bench(
    { address: 0, baudRate: 38_400, clearOnly: true },
    { address: 5, baudRate: 38_400, replyDelayMs: 11 },
    { address: 126, baudRate: 38_400, key: KEY },
  );
  const { findings } = await it.search();
  assert.deepEqual(places(findings), ["reader 38400 0", "reader 38400 5", "reader 38400 126"]);
  assert.ok(findings[0]?.kind === "reader" && findings[0].security === "none");
  assert.ok(findings[2]?.kind === "reader" && findings[2].security === "own-key");
  assert.deepEqual([...new Set(it.opened)], [9_600, 38_400]);
  assert.ok(it.clock.monotonicMs() < 40_000);
});

Deno.test("two readers with one address are a collision, whoever is faster", async () => {
  for (const replyDelayMs of [3, 4, 60]) {
    const it = bench(
      { address: 2, baudRate: 9_600, serial: 1 },
      { address: 2, baudRate: 9_600, serial: 2, replyDelayMs },
      { address: 3, baudRate: 9_600 },
    );
    const { findings } = await it.search({ baudRates: [9_600] });
    assert.deepEqual(places(findings), ["collision 9600 2", "reader 9600 3"], `${replyDelayMs}`);
  }
});

Deno.test("an address beyond the usual ones is told at once where the reader is alone", async () => {
  const own = bench({ address: 77, baudRate: 115_200 });
  await own.search();
  assert.deepEqual(places(own.seen.map((one) => one.finding)), ["reader 115200 77"]);
  assert.ok(own.seen[0]!.atMs < 4_000);
  // One that answers as everybody is found where it is in truth, later.
  const config = bench({ address: 77, baudRate: 115_200, configReply: "config" });
  const { findings } = await config.search();
  assert.deepEqual(places(findings), ["reader 115200 77"]);
  assert.ok(!config.opened.slice(6).includes(9_600));
});

Deno.test("who answers only at everybody's address is told without one", async () => {
  const it = bench({ address: 9, baudRate: 9_600, configReply: "config" });
  const { findings } = await it.search({ addresses: [0, 1, 2] });
  assert.deepEqual(places(findings), ["reader 9600 ?"]);
});

Deno.test("a reader that knows checksums alone is found", async () => {
  const it = bench({ address: 4, baudRate: 19_200, checksumOnly: true });
  const { findings } = await it.search();
  assert.deepEqual(places(findings), ["reader 19200 4"]);
  assert.ok(findings[0]?.kind === "reader" && findings[0].check === "checksum");
});

Deno.test("an empty line takes under six minutes, noise on it is told, a rate that cannot be is left out", async () => {
  const empty = bench();
  empty.refuse(57_600);
  const { findings, ratesRefused } = await empty.search();
  assert.deepEqual(findings, []);
  assert.ok(empty.clock.monotonicMs() < 6 * 60_000, `${empty.clock.monotonicMs()} ms`);
  assert.deepEqual(ratesRefused, [57_600]);
  const noisy = bench();
  const babbler = noisy.line.join(9_600);
  const babble = () => {
    void babbler.write(Uint8Array.of(0x53, 0x80, 0x08, 0, 0x04, 0x40, 1, 2), noisy.abort.signal);
    noisy.clock.schedule(70, babble);
  };
  babble();
  const told = await noisy.search({ baudRates: [9_600], addresses: [0] });
  assert.equal(places(told.findings)[0], "noise 9600");
  assert.ok(!told.findings.some((one) => one.kind === "reader"));
});

Deno.test("a search ends when it is told to, and a port that is gone ends it", async () => {
  const it = bench({ address: 3, baudRate: 230_400 });
  const stop = new AbortController();
  it.clock.schedule(500, () => stop.abort(new Error("enough")));
  await assert.rejects(it.search({}, stop.signal), /enough/);
  await assert.rejects(
    discoverOsdp(
      { clock: it.clock, openPort: () => Promise.reject(new HalError("busy", "held")) },
      {},
      it.abort.signal,
    ),
    { kind: "busy" },
  );
});
