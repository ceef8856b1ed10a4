import assert from "node:assert/strict";
import { linuxClock, linuxSerialHost, openPtyPair } from "../../../hal/linux/mod.ts";
import { simulateOsdpReaders } from "../../../hal/sim/osdp_reader/mod.ts";
import type { OutputLine } from "../../contract.ts";
import { osdp } from "./mod.ts";

Deno.test("a card on a real pty opens the reader's relay, and a hang-up is reported", async () => {
  const clock = linuxClock();
  const abort = new AbortController();
  const pair = openPtyPair(clock);
  const line = simulateOsdpReaders(
    pair.port,
    clock,
    [{ address: 0 }, { address: 7 }],
    abort.signal,
  );
  const serial = linuxSerialHost(clock);
  const bus = await osdp.open(
    {
      clock,
      log: () => {},
      openPort: (signal) => serial.open({ path: pair.path, baudRate: 115_200 }, signal),
    },
    [osdp.parseOptions({ address: 0 }), osdp.parseOptions({ address: 7 })],
    abort.signal,
  );
  try {
    const reader = bus.readers[1]!;
    const relay: OutputLine = reader.output(0);
    const offline = new Promise((resolve) => {
      reader.onEvent((event) => event.kind === "offline" && resolve(event.reason));
    });
    const card = new Promise<string>((resolve) => {
      reader.onEvent((event) => {
        if (event.kind === "online") line.reader(7).present(26, Uint8Array.of(1, 2, 3, 0x40));
        if (event.kind !== "card") return;
        relay.set(true, { revertAfterMs: 5_000 });
        resolve(`${event.bits} ${event.data.join(" ")}`);
      });
    });
    const opened = new Promise((resolve) => {
      line.reader(7).onOutput((index, active) => resolve(`${index} ${active}`));
    });
    assert.equal(await card, "26 1 2 3 64");
    assert.equal(await opened, "0 true");
    await pair.hangUp();
    assert.equal(await offline, "bus-lost");
  } finally {
    await bus[Symbol.asyncDispose]();
    abort.abort();
    await line.ended;
    await pair[Symbol.asyncDispose]();
  }
});
