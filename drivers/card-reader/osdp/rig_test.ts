import assert from "node:assert/strict";
import type { Cancel } from "../../../hal/mod.ts";
import type { SerialPort } from "../../../hal/mod.ts";
import {
  type MemoryLineOptions,
  memorySerialLine,
  rs485Line,
  type Rs485Station,
  VirtualClock,
} from "../../../hal/sim/mod.ts";
import {
  type SimulatedOsdpLine,
  type SimulatedOsdpReader,
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
    /** Wraps each port that the driver opens, such as to record it. */
    readonly tap?: (port: SerialPort, clock: VirtualClock) => SerialPort;
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
        return Promise.resolve(options.tap?.(memory.a, clock) ?? memory.a);
      },
    },
    [...readers.map((one) => one.address), ...(options.absent ?? [])]
      .map((address) => driverOptions(address, options)),
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

function driverOptions(
  address: number,
  { keys, driver }: {
    readonly keys?: Readonly<Record<number, string>> | undefined;
    readonly driver?: object | undefined;
  },
) {
  const key = keys?.[address];
  return parseOsdpOptions({ address, ...(key === undefined ? {} : { key }), ...driver });
}

/** As {@link openRig}, on a line whose bytes take their time and on which each reader has its own transceiver. */
export interface LineRig extends AsyncDisposable {
  readonly clock: VirtualClock;
  readonly bus: OsdpBus;
  /** In the order that they were given, wherever COMSET takes them. */
  readonly devices: readonly SimulatedOsdpReader[];
  readonly logs: string[];
  readonly events: string[];
  /** Puts another station on the line, such as one that babbles. */
  join(): Rs485Station;
  /** Pulls the adapter; it can be opened again `absentMs` later. */
  unplug(absentMs: number): void;
  /** Ends the box's program and starts it anew: another bus on the same line. */
  restart(): Promise<OsdpBus>;
}

/** Opens a bus with a driver for each of `readers`, on a line at `baudRate`. */
export async function openLineRig(
  readers: readonly SimulatedReaderOptions[],
  options: {
    readonly baudRate: number;
    readonly driver?: object;
    /** Options of the driver for one address. */
    readonly each?: Readonly<Record<number, object>>;
    readonly keys?: Readonly<Record<number, string>>;
  },
): Promise<LineRig> {
  const { baudRate } = options;
  const clock = new VirtualClock();
  const abort = new AbortController();
  const logs: string[] = [];
  const events: string[] = [];
  const line = rs485Line(clock);
  const devices = readers.map((one) => {
    const station = line.join(one.baudRate ?? baudRate);
    const simulated = simulateOsdpReaders(station, clock, [{ baudRate, ...one }], abort.signal, 20);
    const device = simulated.readers[0]!;
    device.onMove((_address, rate) => station.setBaudRate(rate));
    return device;
  });
  let box: Rs485Station | undefined;
  let absentUntilMs = 0;
  const open = async () => {
    const bus = await OsdpBus.open(
      {
        clock,
        log: (level, message, fields) =>
          logs.push(`${level}: ${message} ${JSON.stringify(fields)}`),
        openPort: (_signal, change) => {
          if (clock.monotonicMs() < absentUntilMs) return Promise.reject(new Error("no adapter"));
          box = line.join(change?.baudRate ?? baudRate);
          return Promise.resolve(box);
        },
      },
      readers.map(({ address }) => {
        const driver = { ...options.driver, ...options.each?.[address] };
        return driverOptions(address, { keys: options.keys, driver });
      }),
      abort.signal,
    );
    for (const { address } of readers) {
      bus.reader(address).onEvent((event) => events.push(textOf(address, event)));
    }
    return bus;
  };
  let bus = await open();
  return {
    clock,
    get bus() {
      return bus;
    },
    devices,
    logs,
    events,
    join: () => line.join(baudRate),
    unplug: (absentMs) => {
      absentUntilMs = clock.monotonicMs() + absentMs;
      box?.unplug();
    },
    restart: async () => {
      await bus[Symbol.asyncDispose]();
      bus = await open();
      return bus;
    },
    [Symbol.asyncDispose]: async () => {
      await bus[Symbol.asyncDispose]();
      abort.abort();
    },
  };
}

/** Steps the clock until `promise` is settled, at most `withinMs`. */
export async function settle<T>(
  { clock }: { readonly clock: VirtualClock },
  promise: Promise<T>,
  withinMs: number,
): Promise<T> {
  let over = false;
  promise.then(() => over = true, () => over = true);
  for (let waitedMs = 0; !over; waitedMs += 10) {
    assert.ok(waitedMs < withinMs, `not over within ${withinMs} ms`);
    await clock.advance(10);
  }
  return await promise;
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
