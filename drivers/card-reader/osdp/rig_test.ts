import assert from "node:assert/strict";
import type { Cancel } from "../../../hal/mod.ts";
import { type MemoryLineOptions, memorySerialLine, VirtualClock } from "../../../hal/sim/mod.ts";
import {
  type SimulatedOsdpLine,
  type SimulatedReaderOptions,
  simulateOsdpReaders,
} from "../../../hal/sim/osdp_reader/mod.ts";
import type { CardReader, ReaderEvent } from "../../contract.ts";
import { OsdpBus } from "./bus.ts";
import { parseOsdpOptions } from "./options.ts";

/** A driver and simulated readers on one line in memory, on a clock that the test steps. */
export interface Rig extends AsyncDisposable {
  readonly clock: VirtualClock;
  readonly bus: OsdpBus;
  readonly line: SimulatedOsdpLine;
  /** Whole log, as `level: message`. */
  readonly logs: string[];
  /** Every event of every reader, in order, cards as `3: card 32 deadbeef`. */
  readonly events: string[];
  reader(address: number): CardReader;
  /** Pulls the adapter; it can be opened again `absentMs` later. */
  unplug(absentMs: number): void;
}

export const hexOf = (bytes: Uint8Array) =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

const textOf = (address: number, event: ReaderEvent): string => {
  switch (event.kind) {
    case "card":
      return `${address}: card ${event.bits} ${hexOf(event.data)}`;
    case "keys":
      return `${address}: keys ${event.keys}`;
    case "online":
      return `${address}: online ${event.identity?.firmware}`;
    case "offline":
      return `${address}: offline ${event.reason}`;
    case "tamper":
      return `${address}: tamper ${event.active}`;
    case "power":
      return `${address}: power ${event.failed}`;
    default:
      return event satisfies never;
  }
};

/** Opens a bus with a driver for each of `readers`, and for `absent` addresses that no one has. */
export async function openRig(
  readers: readonly SimulatedReaderOptions[],
  options: {
    readonly absent?: readonly number[];
    readonly driver?: object;
    /** Keys of the driver's options, by address. */
    readonly keys?: Readonly<Record<number, string>>;
    readonly interfere?: MemoryLineOptions["interfere"];
  } = {},
): Promise<Rig> {
  const clock = new VirtualClock();
  const abort = new AbortController();
  const logs: string[] = [];
  const events: string[] = [];
  const { interfere } = options;
  let memory = memorySerialLine(clock, interfere === undefined ? {} : { interfere });
  let absentUntilMs = 0;
  let opened = false;
  // One set of devices outlives the adapter: its far end is plugged into each new line.
  const line = simulateOsdpReaders(memory.b, clock, readers, abort.signal);
  let current = line;
  const cancels: Cancel[] = [];
  const bus = await OsdpBus.open(
    {
      clock,
      log: (level, message, fields) => logs.push(`${level}: ${message} ${JSON.stringify(fields)}`),
      openPort: () => {
        if (clock.monotonicMs() < absentUntilMs) return Promise.reject(new Error("no adapter"));
        if (opened) {
          memory = memorySerialLine(clock, interfere === undefined ? {} : { interfere });
          current = simulateOsdpReaders(memory.b, clock, readers, abort.signal);
        }
        opened = true;
        return Promise.resolve(memory.a);
      },
    },
    [...readers.map((one) => one.address), ...(options.absent ?? [])]
      .map((address) => {
        const key = options.keys?.[address];
        return parseOsdpOptions({
          address,
          ...(key === undefined ? {} : { key }),
          ...options.driver,
        });
      }),
    abort.signal,
  );
  for (const { address } of readers) {
    cancels.push(bus.reader(address).onEvent((event) => events.push(textOf(address, event))));
  }
  return {
    clock,
    bus,
    get line() {
      return current;
    },
    logs,
    events,
    reader: (address) => bus.reader(address),
    unplug: (absentMs) => {
      absentUntilMs = clock.monotonicMs() + absentMs;
      memory.hangUp();
    },
    [Symbol.asyncDispose]: async () => {
      for (const cancel of cancels) cancel();
      await bus[Symbol.asyncDispose]();
      abort.abort();
    },
  };
}

/** Presents a card until it is told, which it must be within 10 s. */
export async function recovers(rig: Rig, address: number): Promise<void> {
  const told = () => rig.events.filter((event) => event.startsWith(`${address}: card`)).length;
  const before = told();
  for (let waitedMs = 0; told() === before; waitedMs += 500) {
    assert.ok(waitedMs < 10_000, `not back: ${rig.events.join("; ")} ${rig.logs.join("; ")}`);
    await rig.clock.advance(400);
    rig.line.reader(address).present(32, Uint8Array.of(0xde, 0xad, 0xbe, 0xef));
    await rig.clock.advance(100);
  }
}
