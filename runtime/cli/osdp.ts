/**
 * What an installer does to OSDP readers while no box runs on their line: `gatehouse osdp …`.
 *
 * @module
 */
import { HalError } from "../../hal/mod.ts";
import { linuxClock, linuxSerialHost } from "../../hal/linux/mod.ts";
import { OsdpKeyError, OsdpRequestError } from "../../drivers/card-reader/osdp/mod.ts";
import { ConfigError } from "../config/mod.ts";
import { loadConfig } from "./check.ts";
import {
  changeCommunication,
  discover,
  installReaderKey,
  sendFirmware,
  showReaderText,
} from "./osdp_acts.ts";
import { type OsdpIo, type ReaderPlace, readKeyFile } from "./osdp_bench.ts";
import { DATA_DIR_DEFAULT, EXIT, readArgs, UsageError } from "./usage.ts";

const HELP = `
gatehouse osdp discover --port PATH [--baud-rate N] [--first] [--all-rates] [--json]
gatehouse osdp key      READER --new-key-file FILE [--from default|current] [--seconds N] [--yes]
gatehouse osdp comset   READER [--to-address N] [--to-baud-rate N] [--yes]
gatehouse osdp text     READER --text TEXT [--seconds N]
gatehouse osdp firmware READER --file FILE [--type N] [--data DIR] [--yes]

Sets OSDP readers up. The box must be stopped, or be on another port.

READER is either of
  --config FILE --reader ID     a reader of a box.yaml
  --port PATH [--baud-rate N] [--address N] [--key-file FILE] [--check crc|checksum]
                                9600 baud, address 0 and crc unless given; --key-file where it has a key

  discover   searches the line: each baud rate, each address, the usual ones first. --first ends it at
             the first reader, --all-rates goes on at other rates when one was found
  key        puts the key in FILE into the reader; without that file a new key is made and written
             there first. --from default (the reader is in installation mode; whoever listens on the
             line learns the key: do it at a bench) or current (under the key that it has). It has 60 s
             unless --seconds says otherwise
  comset     gives it another address or baud rate; box.yaml must be changed too
  text       shows TEXT on its display, for good or for so many seconds
  firmware   gives it a file; goes on where it was after an interruption. Progress is kept in DIR,
             default ${DATA_DIR_DEFAULT}
  --yes      does not ask before it changes a reader
  --json     one JSON object a line

Exit codes: 0 done, 1 the port or the reader cannot do it or nothing was found, 2 bad usage,
3 box.yaml has faults.
`;

const OPTIONS = {
  port: { type: "string" },
  config: { type: "string" },
  reader: { type: "string" },
  "baud-rate": { type: "string" },
  address: { type: "string" },
  check: { type: "string" },
  "key-file": { type: "string" },
  "new-key-file": { type: "string" },
  from: { type: "string" },
  seconds: { type: "string" },
  "to-address": { type: "string" },
  "to-baud-rate": { type: "string" },
  text: { type: "string" },
  file: { type: "string" },
  type: { type: "string" },
  data: { type: "string" },
  "all-rates": { type: "boolean" },
  first: { type: "boolean" },
  yes: { type: "boolean" },
  json: { type: "boolean" },
} as const;

type Values = { readonly [K in keyof typeof OPTIONS]?: string | boolean | undefined };

/** Which options an act knows, besides those that say which reader. */
const ACTS: Readonly<Record<string, readonly (keyof typeof OPTIONS)[]>> = {
  discover: ["all-rates", "first"],
  key: ["new-key-file", "from", "seconds", "yes"],
  comset: ["to-address", "to-baud-rate", "yes"],
  text: ["text", "seconds"],
  firmware: ["file", "type", "data", "yes"],
};
const PLACE_OPTIONS = [
  "port",
  "config",
  "reader",
  "baud-rate",
  "address",
  "check",
  "key-file",
  "json",
];

/** `gatehouse osdp`. */
export function osdpCommand(args: string[], signal: AbortSignal): Promise<number> {
  const clock = linuxClock();
  return runOsdp(args, {
    clock,
    serial: linuxSerialHost(clock),
    print: (line) => console.log(line),
    note: (line) => console.error(line),
    // A prompt that nobody sees is a no.
    confirm: (question) => Deno.stdin.isTerminal() && prompt(`${question} [yes/no]`) === "yes",
  }, signal);
}

/** The same with everything that it touches given from outside. */
export async function runOsdp(args: string[], io: OsdpIo, signal: AbortSignal): Promise<number> {
  const parsed = readArgs(args, OPTIONS, HELP);
  if (parsed === undefined) return EXIT.ok;
  const [act = "", ...rest] = parsed.positionals;
  const values: Values = parsed.values;
  const known = ACTS[act];
  if (known === undefined || rest.length > 0) {
    throw new UsageError(`expected one of ${Object.keys(ACTS).join(", ")}`);
  }
  for (const name of Object.keys(values)) {
    if (!PLACE_OPTIONS.includes(name) && !(known as readonly string[]).includes(name)) {
      throw new UsageError(`osdp ${act} knows no --${name}`);
    }
  }
  try {
    return await dispatch(act, values, io, signal);
  } catch (error) {
    if (error instanceof ConfigError) {
      io.note(error.message);
      return EXIT.badInput;
    }
    const told = error instanceof HalError || error instanceof OsdpKeyError ||
      error instanceof OsdpRequestError || error instanceof RangeError;
    if (!told && !signal.aborted) throw error;
    io.note(`gatehouse osdp ${act}: ${(error as Error).message}`);
    return EXIT.failed;
  }
}

async function dispatch(
  act: string,
  values: Values,
  io: OsdpIo,
  signal: AbortSignal,
): Promise<number> {
  const json = values.json === true;
  const yes = values.yes === true;
  if (act === "discover") {
    const { port } = values;
    if (typeof port !== "string") throw new UsageError("--port is missing");
    const baudRate = number(values, "baud-rate", 300, 4_000_000);
    const allRates = values["all-rates"] === true;
    const firstOnly = values.first === true;
    return await discover(io, { path: port, baudRate, allRates, firstOnly, json }, signal);
  }
  if (json && !yes && act !== "text") {
    throw new UsageError("--json asks nothing, so it needs --yes");
  }
  const place = await placeOf(values);
  switch (act) {
    case "key": {
      const file = required(values, "new-key-file");
      const from = values.from ?? "default";
      if (from !== "default" && from !== "current") {
        throw new UsageError("--from is default or current");
      }
      const seconds = number(values, "seconds", 5, 600);
      return await installReaderKey(io, place, { file, from, seconds, yes, json }, signal);
    }
    case "comset": {
      const address = number(values, "to-address", 0, 126);
      const baudRate = number(values, "to-baud-rate", 1_200, 1_000_000);
      if (address === undefined && baudRate === undefined) {
        throw new UsageError("--to-address or --to-baud-rate is missing");
      }
      return await changeCommunication(io, place, { address, baudRate, yes, json }, signal);
    }
    case "text": {
      const text = required(values, "text");
      const forS = number(values, "seconds", 1, 255);
      return await showReaderText(io, place, { text, forS, json }, signal);
    }
    default: {
      const file = required(values, "file");
      const type = number(values, "type", 1, 255);
      const data = typeof values.data === "string" ? values.data : DATA_DIR_DEFAULT;
      return await sendFirmware(io, place, { file, type, data, yes, json }, signal);
    }
  }
}

/** Where the reader is, by options or by a box.yaml. */
async function placeOf(values: Values): Promise<ReaderPlace> {
  const { config: path, reader: id } = values;
  if (path !== undefined || id !== undefined) {
    if (typeof path !== "string" || typeof id !== "string") {
      throw new UsageError("--config and --reader go together");
    }
    for (const name of ["port", "baud-rate", "address", "check", "key-file"] as const) {
      if (values[name] !== undefined) throw new UsageError(`--${name} is in box.yaml already`);
    }
    const config = await loadConfig(path);
    const reader = config.readers.find((one) => one.id === id);
    if (reader?.on !== "bus" || reader.driver.id !== "osdp") {
      throw new UsageError(`${path} has no OSDP reader ${id}`);
    }
    const bus = config.buses.find((one) => one.id === reader.bus)!;
    if (bus.kind !== "serial") throw new UsageError(`${id} is on a simulated bus`);
    const baudRate = bus.baudRate ?? reader.driver.serialDefaults.baudRate;
    return { path: bus.path, baudRate, options: reader.options as ReaderPlace["options"] };
  }
  const check = values.check ?? "crc";
  if (check !== "crc" && check !== "checksum") throw new UsageError("--check is crc or checksum");
  const keyFile = values["key-file"];
  return {
    path: required(values, "port"),
    baudRate: number(values, "baud-rate", 300, 4_000_000) ?? 9_600,
    options: {
      address: number(values, "address", 0, 126) ?? 0,
      check,
      ...(typeof keyFile === "string" ? { key: readKeyFile(keyFile) } : {}),
    },
  };
}

function required(values: Values, name: keyof typeof OPTIONS): string {
  const value = values[name];
  if (typeof value === "string" && value !== "") return value;
  throw new UsageError(`--${name} is missing`);
}

function number(
  values: Values,
  name: keyof typeof OPTIONS,
  least: number,
  most: number,
): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  const value = typeof text === "string" && /^\d{1,9}$/.test(text) ? Number(text) : NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`--${name} is a number from ${least} to ${most}`);
}
