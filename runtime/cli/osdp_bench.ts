/**
 * One OSDP reader on a port, for as long as an installer's act takes.
 *
 * @module
 */
import { type Clock, HalError, type SerialHost } from "../../hal/mod.ts";
import {
  keyFault,
  OsdpBus,
  type OsdpOptions,
  parseOsdpOptions,
} from "../../drivers/card-reader/osdp/mod.ts";

/** What the commands touch of the world. */
export interface OsdpIo {
  readonly clock: Clock;
  readonly serial: SerialHost;
  /** A line of the result. */
  readonly print: (line: string) => void;
  /** A line for the person who waits. */
  readonly note: (line: string) => void;
  /** Asks before something is changed. */
  readonly confirm: (question: string) => boolean;
}

/** Where a reader is. */
export interface ReaderPlace {
  readonly path: string;
  readonly baudRate: number;
  /** As in box.yaml; defaults are filled in. */
  readonly options: Partial<OsdpOptions> & { readonly address: number };
}

/** How long a reader has to come online. */
const ONLINE_MS_MAX = 12_000;

/** A reader that is being worked on. */
export interface ReaderBench extends AsyncDisposable {
  readonly bus: OsdpBus;
  /** Waits until it answers. @throws HalError with what stands in the way. */
  ready(signal: AbortSignal): Promise<void>;
}

/** Opens the port and begins to talk. @throws HalError when the port cannot be had. */
export async function openBench(
  io: OsdpIo,
  place: ReaderPlace,
  signal: AbortSignal,
): Promise<ReaderBench> {
  const { path, baudRate } = place;
  const options = parseOsdpOptions({ ...place.options });
  let lastTrouble =
    "it does not answer; look at its power, its wires, its address and its baud rate";
  // The bus would try for ever; a person wants to know at once.
  const first = await io.serial.open({ path, baudRate }, signal);
  await first[Symbol.asyncDispose]();
  const bus = await OsdpBus.open(
    {
      clock: io.clock,
      log: (level, message) => {
        if (level === "error") lastTrouble = message;
      },
      openPort: (abort, change) => io.serial.open({ path, baudRate, ...change }, abort),
    },
    [options],
    signal,
  );
  return {
    bus,
    ready: async (end) => {
      if (await bus.waitOnline(options.address, ONLINE_MS_MAX, end)) return;
      throw new HalError("timeout", `${path}, address ${options.address}: ${lastTrouble}`);
    },
    [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose](),
  };
}

/** The key in a file, as hex. @throws HalError without the key in it. */
export function readKeyFile(path: string): string {
  let text: string;
  try {
    text = Deno.readTextFileSync(path).trim();
  } catch (cause) {
    const kind = cause instanceof Deno.errors.NotFound ? "not-found" : "permission";
    throw new HalError(kind, `${path} cannot be read; name the file with the reader's key`, {
      cause,
    });
  }
  const fault = keyFault(text);
  if (fault !== undefined) throw new HalError("invalid", `${path}: ${fault}`);
  return text;
}
