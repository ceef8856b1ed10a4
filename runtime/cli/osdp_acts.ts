/**
 * The acts of `gatehouse osdp`.
 *
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import * as v from "valibot";
import { HalError, writeFileDurably } from "../../hal/mod.ts";
import type { ReaderFile } from "../../drivers/contract.ts";
import {
  discoverOsdp,
  keyFault,
  type OsdpFileProgress,
  type OsdpFinding,
  OsdpKeyError,
} from "../../drivers/card-reader/osdp/mod.ts";
import { readPart } from "../read_part.ts";
import { openBench, type OsdpIo, type ReaderPlace, readKeyFile } from "./osdp_bench.ts";
import { EXIT } from "./usage.ts";

const KEY_BYTES = 16;
const KEY_SECONDS = 60;
const FILE_NAME = "osdp-firmware.json";
/** How often a transfer's place is written down: an SD card bears it, and little is sent twice. */
const SAVE_EVERY_BYTES = 16_384;
const READ_BYTES = 65_536;

/** `osdp discover`. */
export async function discover(
  io: OsdpIo,
  { path, baudRate, allRates, firstOnly, json }: {
    readonly path: string;
    readonly baudRate: number | undefined;
    readonly allRates: boolean;
    readonly firstOnly: boolean;
    readonly json: boolean;
  },
  signal: AbortSignal,
): Promise<number> {
  let lastRate = 0;
  const { findings, ratesRefused, asked } = await discoverOsdp(
    { clock: io.clock, openPort: (rate, end) => io.serial.open({ path, baudRate: rate }, end) },
    {
      ...(baudRate === undefined ? {} : { baudRates: [baudRate] }),
      allRates,
      firstOnly,
      onProgress: (progress) => {
        if (progress.baudRate !== lastRate) io.note(`searching at ${progress.baudRate} baud`);
        lastRate = progress.baudRate;
      },
      onFinding: (finding) => io.print(json ? JSON.stringify(finding) : findingText(finding, path)),
    },
    signal,
  );
  for (const rate of ratesRefused) io.note(`the port cannot do ${rate} baud`);
  if (findings.some((one) => one.kind === "reader")) return EXIT.ok;
  io.note(
    `no reader answered ${asked} questions; look at its power, A and B, and that no box runs on the line`,
  );
  return EXIT.failed;
}

function findingText(finding: OsdpFinding, path: string): string {
  const { baudRate } = finding;
  switch (finding.kind) {
    case "noise":
      return `${baudRate} baud: ${finding.bytes} bytes that nobody asked for: another controller, A and B swapped, or no bias on the line`;
    case "collision":
      return `${baudRate} baud, address ${finding.address}: answers that nobody can read: several readers have this address, or the line is disturbed`;
    case "reader":
      break;
    default:
      return finding satisfies never;
  }
  const { address, identity, security, check } = finding;
  const who = identity === undefined
    ? "does not say who it is"
    : `vendor ${identity.vendor} model ${identity.model} serial ${identity.serial} firmware ${identity.firmware}`;
  const place = `--port ${path} --baud-rate ${baudRate} --address ${address ?? 0}`;
  const advice = {
    none: "knows no secure channel: anybody on its wires can present cards",
    "default-key":
      `has no key but the public default; install its own: gatehouse osdp key ${place} --new-key-file FILE`,
    "own-key": "has a key of its own, which box.yaml needs",
    unknown: "does not say whether it knows the secure channel",
  }[security];
  const at = address === undefined ? "an address that was not searched" : `address ${address}`;
  return `${baudRate} baud, ${at}: ${who}${
    check === "checksum" ? ", checksum only" : ""
  }; ${advice}`;
}

/** `osdp key`. The key is on the disk before it is sent: nobody knows when the reader takes it. */
export async function installReaderKey(
  io: OsdpIo,
  place: ReaderPlace,
  { file, from, seconds = KEY_SECONDS, yes, json }: {
    readonly file: string;
    readonly from: "default" | "current";
    readonly seconds: number | undefined;
    readonly yes: boolean;
    readonly json: boolean;
  },
  signal: AbortSignal,
): Promise<number> {
  const { address } = place.options;
  if (
    from === "current" && place.options.key === undefined && place.options.keyFile === undefined
  ) {
    throw new HalError("invalid", "--from current needs the key that the reader has: --key-file");
  }
  const risk = from === "default"
    ? "whoever listens on the line learns the key; the reader should be alone at a bench, in installation mode. "
    : "";
  const sure = yes ||
    io.confirm(
      `Put the key of ${file} into the reader at ${place.path}, address ${address}? ${risk}`,
    );
  if (!sure) {
    io.note("nothing was changed");
    return EXIT.failed;
  }
  await using bench = await openBench(io, place, signal);
  const { key, made } = keyOf(file);
  io.note(made ? `a new key was written to ${file}` : `the key in ${file} is taken`);
  try {
    const timeoutMs = seconds * 1_000;
    await bench.bus.installKey(address, Uint8Array.fromHex(key), { from, timeoutMs }, signal);
  } catch (error) {
    if (!(error instanceof OsdpKeyError)) throw error;
    io.note(`gatehouse osdp key: ${error.message}`);
    io.note(
      `the key stays in ${file}, for the reader may have taken it: try again with the same file, ` +
        `or see whether it answers with --key-file ${file}`,
    );
    return EXIT.failed;
  }
  if (json) io.print(JSON.stringify({ installed: true, address, keyFile: file }));
  else io.print(`installed; write into box.yaml at this reader: keyFile: ${file}`);
  return EXIT.ok;
}

/** The key in a file, which is made where there is none. */
function keyOf(file: string): { readonly key: string; readonly made: boolean } {
  let there = true;
  try {
    Deno.statSync(file);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    there = false;
  }
  if (there) return { key: readKeyFile(file), made: false };
  let key: string;
  do key = new Uint8Array(randomBytes(KEY_BYTES)).toHex(); while (keyFault(key) !== undefined);
  try {
    writeFileDurably(file, `${key}\n`);
  } catch (cause) {
    throw new HalError(
      "permission",
      `the new key cannot be written to ${file}; make its folder, and mind that folder's owner`,
      { cause },
    );
  }
  return { key, made: true };
}

/** `osdp comset`. */
export async function changeCommunication(
  io: OsdpIo,
  place: ReaderPlace,
  { address, baudRate, yes, json }: {
    readonly address: number | undefined;
    readonly baudRate: number | undefined;
    readonly yes: boolean;
    readonly json: boolean;
  },
  signal: AbortSignal,
): Promise<number> {
  const from = place.options.address;
  await using bench = await openBench(io, place, signal);
  await bench.ready(signal);
  const wanted = `address ${address ?? from}, ${baudRate ?? place.baudRate} baud`;
  const sure = yes ||
    io.confirm(
      `Move the reader from address ${from}, ${place.baudRate} baud to ${wanted}? Others on the line keep their baud rate.`,
    );
  if (!sure) {
    io.note("nothing was changed");
    return EXIT.failed;
  }
  const went = await bench.bus.setCommunication(from, {
    ...(address === undefined ? {} : { address }),
    ...(baudRate === undefined ? {} : { baudRate }),
  }, signal);
  const kept = (address ?? from) !== went.address || (baudRate ?? place.baudRate) !== went.baudRate;
  if (json) io.print(JSON.stringify({ moved: !kept, ...went }));
  else if (kept) {
    io.print(
      `the reader stays at address ${went.address}, ${went.baudRate} baud: it has switches for them`,
    );
  } else {
    io.print(
      `it answers at address ${went.address}, ${went.baudRate} baud; write that into box.yaml: ` +
        `address: ${went.address} at the reader, baudRate: ${went.baudRate} at its bus`,
    );
  }
  return kept ? EXIT.failed : EXIT.ok;
}

/** `osdp text`. */
export async function showReaderText(
  io: OsdpIo,
  place: ReaderPlace,
  { text, forS, json }: {
    readonly text: string;
    readonly forS: number | undefined;
    readonly json: boolean;
  },
  signal: AbortSignal,
): Promise<number> {
  await using bench = await openBench(io, place, signal);
  await bench.ready(signal);
  const shown = { text, ...(forS === undefined ? {} : { forS }) };
  await bench.bus.showText(place.options.address, shown, signal);
  io.print(json ? JSON.stringify({ shown: true }) : "shown");
  return EXIT.ok;
}

/** Where an interrupted transfer stands. */
const ResumeSchema = v.object({
  sha256: v.string(),
  reader: v.string(),
  sentBytes: v.pipe(v.number(), v.integer(), v.minValue(0)),
});

/** `osdp firmware`. */
export async function sendFirmware(
  io: OsdpIo,
  place: ReaderPlace,
  { file, type, data, yes, json }: {
    readonly file: string;
    readonly type: number | undefined;
    readonly data: string;
    readonly yes: boolean;
    readonly json: boolean;
  },
  signal: AbortSignal,
): Promise<number> {
  const { address } = place.options;
  using handle = await openFile(file);
  const { size } = await handle.stat();
  const sha256 = await hashOf(handle, size);
  await using bench = await openBench(io, place, signal);
  await bench.ready(signal);
  const before = bench.bus.identity(address);
  const reader = `${before?.vendor ?? "?"} ${before?.serial ?? "?"} ${place.path} ${address}`;
  const resumePath = join(data, FILE_NAME);
  const fromOffset = resumeAt(resumePath, { sha256, reader, size });
  if (fromOffset > 0) io.note(`going on at ${fromOffset} of ${size} bytes`);
  const sure = yes || io.confirm(
    `Give ${file} (${size} bytes) to the reader at address ${address}, which has firmware ${
      before?.firmware ?? "unknown"
    }?`,
  );
  if (!sure) {
    io.note("nothing was sent");
    return EXIT.failed;
  }
  let savedBytes = fromOffset;
  let lastPercent = -1;
  const onProgress = (progress: OsdpFileProgress) => {
    const { state, sentBytes } = progress;
    if (sentBytes - savedBytes >= SAVE_EVERY_BYTES || sentBytes < savedBytes) {
      savedBytes = sentBytes;
      writeFileDurably(resumePath, JSON.stringify({ sha256, reader, sentBytes }));
    }
    const percent = Math.floor(100 * sentBytes / size);
    if (percent === lastPercent && state === "sending") return;
    lastPercent = percent;
    if (json) io.print(JSON.stringify(progress));
    else io.note(`${state} ${percent}%`);
  };
  const source: ReaderFile = { size, read: (at, length) => readPart(handle, at, length) };
  const result = await bench.bus.sendFile(address, source, {
    fromOffset,
    keepForLater: true,
    ...(type === undefined ? {} : { type }),
    onProgress,
  }, signal);
  forget(resumePath);
  const firmware = result.identity?.firmware ?? "unknown";
  if (json) {
    io.print(
      JSON.stringify({ done: true, firmware, losses: result.losses, restarts: result.restarts }),
    );
  } else {io.print(
      `the reader has the file; its firmware is ${firmware} (before: ${
        before?.firmware ?? "unknown"
      })`,
    );}
  return EXIT.ok;
}

async function openFile(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path);
  } catch (cause) {
    throw new HalError("not-found", `${path} cannot be read; name the reader's file with --file`, {
      cause,
    });
  }
}

async function hashOf(handle: Deno.FsFile, size: number): Promise<string> {
  const hash = createHash("sha256");
  for (let at = 0; at < size; at += READ_BYTES) {
    hash.update(await readPart(handle, at, Math.min(READ_BYTES, size - at)));
  }
  return hash.digest("hex");
}

/** Where an interrupted transfer of the same file to the same reader stands; 0 for any other. */
function resumeAt(
  path: string,
  { sha256, reader, size }: {
    readonly sha256: string;
    readonly reader: string;
    readonly size: number;
  },
): number {
  try {
    const saved = v.parse(ResumeSchema, JSON.parse(Deno.readTextFileSync(path)));
    const same = saved.sha256 === sha256 && saved.reader === reader && saved.sentBytes < size;
    return same ? saved.sentBytes : 0;
  } catch {
    // None, or one that cannot be read: then it begins at the beginning.
    return 0;
  }
}

function forget(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
  }
}
