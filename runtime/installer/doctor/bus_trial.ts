/**
 * Tries the readers of a serial line with their own driver, and counts what the line carried.
 *
 * @module
 */
import type { ReaderEvent, ReaderIdentity } from "../../../drivers/contract.ts";
import {
  type Clock,
  HalError,
  type SerialHost,
  type SerialPort,
  type SerialSettings,
} from "../../../hal/mod.ts";
import type { ResolvedReader } from "../../config/mod.ts";

/** A reader that is on a serial line. */
export type BusReader = Extract<ResolvedReader, { on: "bus" }>;

/** A reader that answered a search of the line. */
export interface FoundReader {
  readonly kind: "reader";
  readonly baudRate: number;
  /** `undefined`: it answers only where every reader does. */
  readonly address: number | undefined;
  readonly identity: ReaderIdentity | undefined;
  /**
   * - `clear`: talks in clear text
   * - `default-key`: lets itself be spoken to under the default key, so none is installed
   * - `key-needed`: has a key of its own
   */
  readonly security: "clear" | "default-key" | "key-needed";
  /** Whether it says more than who it is outside of the secure channel. */
  readonly clearText: boolean;
}

/** What a search of a line tells. */
export type LineFinding =
  | FoundReader
  /** Several readers answer at one address, or they cannot be understood. */
  | { readonly kind: "collision"; readonly baudRate: number; readonly address: number }
  /** Bytes that nobody asked for. */
  | { readonly kind: "noise"; readonly baudRate: number; readonly bytes: number };

/**
 * Searches a line for readers of one protocol, those rates and addresses first that are named. `open`
 * opens it at a rate; the finder closes it. Rejects with the signal's reason when time is over.
 */
export type ReaderFinder = (
  open: (baudRate: number, signal: AbortSignal) => Promise<SerialPort>,
  first: { readonly baudRates: readonly number[]; readonly addresses: readonly number[] },
  found: (finding: LineFinding) => void,
  signal: AbortSignal,
) => Promise<void>;

/** What came of trying a line. */
export type Trial =
  | { readonly kind: "refused"; readonly error: HalError }
  | {
    readonly kind: "tried";
    /** Each reader: whether it answered, who it says it is, and how often it was read. */
    readonly readers: ReadonlyMap<string, TriedReader>;
    readonly receivedBytes: number;
    /** The first bytes, for the eye. */
    readonly sample: Uint8Array;
    /** Errors that the port counted meanwhile; `undefined` where it does not count. */
    readonly lineErrors: number | undefined;
  };

/** One reader of a trial. */
export interface TriedReader {
  readonly online: boolean;
  readonly identity: ReaderIdentity | undefined;
  /** Cards and keys. */
  readonly reads: number;
}

const SAMPLE_BYTES = 16;

/** Opens the line with the driver of `readers` until all answer or `waitMs` have passed. */
export async function tryLine(
  serial: SerialHost,
  settings: SerialSettings,
  readers: readonly BusReader[],
  clock: Clock,
  waitMs: number,
  signal: AbortSignal,
): Promise<Trial> {
  let receivedBytes = 0;
  const sample: number[] = [];
  let lineErrors: number | undefined;
  try {
    const first = await serial.open(settings, signal);
    const countErrors = (port: SerialPort) => {
      const errors = port.lineErrors?.();
      return errors === undefined ? undefined : errors.framing + errors.breaks + errors.parity;
    };
    // Those of a line at rest count from the opening on; those from before are other programs'.
    const before = countErrors(first) ?? 0;
    const counted = (port: SerialPort): SerialPort => ({
      settings: port.settings,
      async read(aborted) {
        const chunk = await port.read(aborted);
        receivedBytes += chunk.bytes.length;
        if (sample.length < SAMPLE_BYTES) sample.push(...chunk.bytes);
        return chunk;
      },
      write: (bytes, aborted) => port.write(bytes, aborted),
      drain: (aborted) => port.drain(aborted),
      discardInput: () => port.discardInput(),
      async [Symbol.asyncDispose]() {
        try {
          const now = countErrors(port);
          if (now !== undefined) lineErrors = (lineErrors ?? 0) + now - before;
        } catch (error) {
          // A port that went away meanwhile has nothing more to say.
          if (!(error instanceof HalError)) throw error;
        }
        await port[Symbol.asyncDispose]();
      },
    });
    let opened = false;
    const states = new Map(readers.map((one) => [one.id, newState()]));
    const end = new AbortController();
    const driver = readers[0]!.driver;
    const bus = await driver.open(
      {
        clock,
        log: () => {},
        openPort: async (aborted) => {
          if (opened) return counted(await serial.open(settings, aborted));
          opened = true;
          return counted(first);
        },
      },
      readers.map((one) => one.options),
      AbortSignal.any([signal, end.signal]),
    );
    try {
      for (const [index, one] of readers.entries()) {
        const state = states.get(one.id)!;
        state.online ||= bus.readers[index]!.online();
        bus.readers[index]!.onEvent((event) => note(state, event));
      }
      const oneWay = driver.devicesMax === 1;
      const untilMs = clock.monotonicMs() + waitMs;
      while (clock.monotonicMs() < untilMs) {
        // One that only sends has to be waited for: that its port is open says nothing.
        const all = [...states.values()].every((s) => oneWay ? s.reads > 0 : s.online);
        if (all) break;
        await clock.sleep(50, signal);
      }
    } finally {
      end.abort();
      await bus[Symbol.asyncDispose]();
    }
    return {
      kind: "tried",
      readers: states,
      receivedBytes,
      sample: Uint8Array.from(sample.slice(0, SAMPLE_BYTES)),
      lineErrors,
    };
  } catch (error) {
    if (signal.aborted || !(error instanceof HalError)) throw error;
    return { kind: "refused", error };
  }
}

function newState(): { online: boolean; identity: ReaderIdentity | undefined; reads: number } {
  return { online: false, identity: undefined, reads: 0 };
}

function note(state: ReturnType<typeof newState>, event: ReaderEvent): void {
  switch (event.kind) {
    case "online":
      state.online = true;
      state.identity = event.identity;
      break;
    case "card":
    case "keys":
      state.reads++;
      break;
    case "offline":
    case "tamper":
    case "power":
      break;
    default:
      event satisfies never;
  }
}
