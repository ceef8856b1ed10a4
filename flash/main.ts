/**
 * `gatehouse flash`: makes a card of an image, with the installer's settings on it. It runs on the
 * installer's own machine, Linux or macOS.
 *
 * @module
 */
import * as v from "valibot";
import { EXIT, readArgs, UsageError } from "../cli/args.ts";
import { DRIVERS } from "../drivers/registry.ts";
import { ConfigError, parseBoxConfig } from "../runtime/config/mod.ts";
import {
  parseSetup,
  renderSetup,
  type Setup,
  SETUP_BYTES,
  SetupError,
} from "../runtime/setup/mod.ts";
import { type Disk, DiskError, listDisks, megabytes, refusalOf, said } from "./disks.ts";
import { flash, FlashError, type ImageFacts } from "./write.ts";

const HELP = `
gatehouse flash --list [--json]
gatehouse flash IMAGE.img.zst --to DISK [--setup FILE] [--name NAME] [--token-file FILE] [--config FILE]
gatehouse flash IMAGE.img.zst --image-out FILE [the same]

Writes a card image to a disk, with the settings of one box on it, and reads it back. The disk that
this machine runs from and what is mounted are refused. The image's .json has to lie beside it.

  --list             the disks that a card may be
  --to DISK          such as /dev/sdb; all that is on it is lost
  --image-out FILE   writes a file instead of a disk
  --setup FILE       the settings; docs/installer/flash.md has them all
  --name NAME        the box's name, instead of the one in the settings
  --token-file FILE  the enrolment token, instead of the one in the settings
  --config FILE      the box.yaml of the box, checked before it is written
  --force            the disk may be one that cannot be taken out
  --yes              does not ask
  --json             prints its result, or the disks, as JSON

Exit codes: 0 done, 1 the disk or the image failed, 2 bad usage or a disk that is refused, 3 bad settings.
`;

const place = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 40));
const FactsSchema = v.object({
  image: v.object({ bytes: place, sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)) }),
  setup: v.object({ offset: place, bytes: v.literal(SETUP_BYTES) }),
});
const TEXT_BYTES_MAX = 256 << 10;

function readText(path: string): string {
  try {
    if (Deno.statSync(path).size > TEXT_BYTES_MAX) throw new Error("it is too large");
    return Deno.readTextFileSync(path);
  } catch (cause) {
    throw new UsageError(`${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

function factsOf(image: string): ImageFacts {
  const file = image.replace(/\.img(\.zst)?$/, ".json");
  if (file === image) throw new UsageError(`${image}: an image ends in .img.zst`);
  const text = readText(file);
  try {
    return v.parse(FactsSchema, JSON.parse(text));
  } catch (cause) {
    throw new UsageError(`${file} does not describe a card image; fetch it again`, { cause });
  }
}

interface SetupOptions {
  readonly setup?: string | undefined;
  readonly name?: string | undefined;
  readonly "token-file"?: string | undefined;
  readonly config?: string | undefined;
}

/** The settings of the command line and its files together; nothing when none are given. */
function settingsOf(options: SetupOptions): Setup | undefined {
  const { setup: file, name, "token-file": tokenFile, config } = options;
  const given = file === undefined ? undefined : parseSetup(readText(file), file);
  if (
    given === undefined && name === undefined && tokenFile === undefined && config === undefined
  ) {
    return undefined;
  }
  const boxName = name ?? given?.box.name;
  if (boxName === undefined) throw new UsageError("--name is missing: each box has a name");
  const { district } = given ?? {};
  if (tokenFile !== undefined && district === undefined) {
    throw new UsageError("--token-file needs district.url in the settings");
  }
  const whole = {
    ...given,
    box: { ...given?.box, name: boxName },
    ...tokenFile === undefined
      ? {}
      : { district: { ...district!, token: readText(tokenFile).trim() } },
    ...config === undefined ? {} : { config: readText(config) },
  };
  // Once more as a whole, as the box will read it.
  const setup = parseSetup(
    new TextDecoder().decode(renderSetup(whole as Setup)),
    file ?? "settings",
  );
  if (setup?.config !== undefined) parseBoxConfig(setup.config, config ?? "config", DRIVERS);
  return setup;
}

function row({ path, bytes, what, mounted, system }: Disk): string {
  const note = system ? "  (this machine's own)" : mounted.length > 0 ? "  (in use)" : "";
  return `${path.padEnd(16)} ${megabytes(bytes).padStart(9)}  ${what}${note}`;
}

async function list(json: boolean): Promise<number> {
  const disks = (await listDisks()).filter(({ removable, system }) => removable && !system);
  if (json) console.log(JSON.stringify(disks));
  else if (disks.length === 0) {
    console.error("no disk that can be taken out is here: put the card in, and look again");
  } else for (const disk of disks) console.log(row(disk));
  return EXIT.ok;
}

/** The disk at `path`, when it may be written. @throws {@link UsageError} */
async function diskAt(path: string, bytes: number, force: boolean): Promise<Disk> {
  const disk = (await listDisks()).find((one) => one.path === path);
  if (disk === undefined) {
    const part = /\d$/.test(path) ? " (a whole disk is meant, not a part of it)" : "";
    throw new UsageError(`${path} is no disk of this machine${part}; see gatehouse flash --list`);
  }
  const why = refusalOf(disk, bytes, force);
  if (why !== undefined) throw new UsageError(why);
  return disk;
}

/** One line that is drawn over on a terminal; elsewhere a line each tenth. */
function progress(total: number): (doing: string, bytes: number) => void {
  const terminal = Deno.stderr.isTerminal();
  let last = "";
  return (doing, bytes) => {
    const percent = Math.floor(bytes / total * 100);
    const mark = `${doing} ${terminal ? percent : Math.floor(percent / 10)}`;
    if (mark === last) return;
    last = mark;
    const bar = "#".repeat(Math.floor(percent / 4)).padEnd(25, ".");
    const text = `${doing.padEnd(9)} [${bar}] ${String(percent).padStart(3)} %`;
    Deno.stderr.writeSync(new TextEncoder().encode(terminal ? `\r${text}` : `${text}\n`));
    if (terminal && percent === 100) Deno.stderr.writeSync(new TextEncoder().encode("\n"));
  };
}

async function forget(path: string): Promise<void> {
  if (Deno.build.os === "linux") await said("blockdev", ["--flushbufs", path]);
}

async function makeCard(image: string, options: Options): Promise<number> {
  const { to, "image-out": out, force = false, yes = false, json = false } = options;
  if ((to === undefined) === (out === undefined)) {
    throw new UsageError("expected --to DISK or --image-out FILE");
  }
  const facts = factsOf(image);
  const setup = settingsOf(options);
  const { bytes } = facts.image;
  const disk = to === undefined ? undefined : await diskAt(to, bytes, force);
  if (disk !== undefined && !yes) {
    const answer = prompt(`${row(disk)}\nAll that is on it is lost. Its name, to go on:`);
    if (answer !== disk.path && `/dev/${answer}` !== disk.path) {
      console.error("nothing was written");
      return EXIT.failed;
    }
  }
  if (out !== undefined) {
    using file = await Deno.open(out, { create: true, write: true, truncate: true });
    await file.truncate(bytes);
  }
  // macOS hands raw disks out under another name: without its buffers, ten times as fast.
  const target = out ?? (Deno.build.os === "darwin" ? to!.replace("/disk", "/rdisk") : to!);
  if (disk !== undefined && Deno.build.os === "darwin") {
    await said("diskutil", ["unmountDisk", disk.path]);
  }
  await flash({
    source: image,
    facts,
    target,
    targetBytes: disk?.bytes ?? bytes,
    setup: renderSetup(setup),
    forget: async () => disk === undefined ? undefined : await forget(disk.path),
    onProgress: progress(bytes),
  });
  const box = setup?.box.name;
  if (json) {
    console.log(JSON.stringify({ target: to ?? out, bytes, box: box ?? null, verified: true }));
  } else {console.log(
      `${to ?? out}: written and read back${box === undefined ? "" : `, the card of ${box}`}`,
    );}
  return EXIT.ok;
}

interface Options extends SetupOptions {
  readonly to?: string | undefined;
  readonly "image-out"?: string | undefined;
  readonly force?: boolean | undefined;
  readonly yes?: boolean | undefined;
  readonly json?: boolean | undefined;
}

async function main(): Promise<number> {
  const args = Deno.args[0] === "flash" ? Deno.args.slice(1) : [...Deno.args];
  if (args.includes("--help") || args.includes("-h")) {
    console.log(HELP.trim());
    return EXIT.ok;
  }
  try {
    const { values, positionals } = readArgs(args, {
      list: { type: "boolean" },
      to: { type: "string" },
      "image-out": { type: "string" },
      setup: { type: "string" },
      name: { type: "string" },
      "token-file": { type: "string" },
      config: { type: "string" },
      force: { type: "boolean" },
      yes: { type: "boolean" },
      json: { type: "boolean" },
    });
    if (values.list) return await list(values.json ?? false);
    const [image, ...more] = positionals;
    if (image === undefined || more.length > 0) throw new UsageError("expected one IMAGE.img.zst");
    return await makeCard(image, values);
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`gatehouse flash: ${error.message}`);
      return EXIT.usage;
    }
    if (error instanceof SetupError || error instanceof ConfigError) {
      console.error(`gatehouse flash: ${error.message}`);
      return EXIT.badInput;
    }
    if (error instanceof FlashError || error instanceof DiskError) {
      console.error(`\ngatehouse flash: ${error.message}`);
      return EXIT.failed;
    }
    throw error;
  }
}

if (import.meta.main) Deno.exit(await main());
