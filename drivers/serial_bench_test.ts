/**
 * What tests of drivers on a serial line stand on: a line in memory that is pulled and put back.
 *
 * @module
 */
import { HalError, type SerialPort } from "../hal/mod.ts";
import {
  type MemoryLineOptions,
  type MemorySerialLine,
  memorySerialLine,
  VirtualClock,
  VirtualGpio,
} from "../hal/sim/mod.ts";
import type { CardReader, ReaderBus, ReaderEvent, SerialDriverHost } from "./contract.ts";

/** A bench for one driver. */
export class SerialBench {
  readonly clock = new VirtualClock();
  readonly gpio = new VirtualGpio(this.clock);
  readonly logged: string[] = [];
  readonly host: SerialDriverHost;
  readonly #plugged: (port: SerialPort) => void;
  readonly #interfere: MemoryLineOptions["interfere"];
  #line: MemorySerialLine | undefined;
  #there = true;

  /** Calls `plugged` with the device's end of each new line. */
  constructor(plugged: (port: SerialPort) => void, interfere?: MemoryLineOptions["interfere"]) {
    this.#plugged = plugged;
    this.#interfere = interfere;
    this.host = {
      clock: this.clock,
      gpio: this.gpio,
      log: (level, message, fields) =>
        this.logged.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`),
      openPort: () => {
        if (!this.#there) return Promise.reject(new HalError("not-found", "no such port"));
        const options = this.#interfere === undefined ? {} : { interfere: this.#interfere };
        this.#line = memorySerialLine(this.clock, options);
        this.#plugged(this.#line.b);
        return Promise.resolve(this.#line.a);
      },
    };
  }

  /** The device's end of the line that is open now. */
  get device(): SerialPort {
    return this.#line!.b;
  }

  /** Writes raw bytes as if the device did. */
  async send(bytes: Uint8Array | string): Promise<void> {
    const raw = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
    await this.device.write(raw, never());
  }

  /** Pulls the adapter; it stays away until {@link SerialBench.plug}. */
  pull(): void {
    this.#there = false;
    this.#line?.hangUp();
  }

  /** Puts it back. */
  plug(): void {
    this.#there = true;
  }
}

/** Subscribes to everything that the one reader says. */
export function listen(
  bus: ReaderBus,
): { readonly reader: CardReader; readonly events: ReaderEvent[]; cards(): string[] } {
  const [reader] = bus.readers;
  const events: ReaderEvent[] = [];
  reader!.onEvent((event) => events.push(event));
  const cards = () =>
    events.flatMap((event) => event.kind === "card" ? [`${event.bits} ${event.data.toHex()}`] : []);
  return { reader: reader!, events, cards };
}

/** A signal that never aborts. */
export const never = (): AbortSignal => new AbortController().signal;

/** Numbers from a seed, which is printed; `SEED` sets it. */
export function seeded(): (below: number) => number {
  const seed = Number(Deno.env.get("SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  console.log(`seed ${seed}`);
  let word = seed >>> 0;
  return (below) =>
    Math.floor((word = (Math.imul(word, 1664525) + 1013904223) >>> 0) / 2 ** 32 * below);
}
