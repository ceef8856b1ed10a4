import { dirname, resolve } from "node:path";
import { readFrame } from "../../drivers/card-reader/wiegand/mod.ts";
import type { AnyDriver } from "../config/mod.ts";
import { DRIVERS } from "../../drivers/registry.ts";
import { writeFileDurably } from "../../hal/mod.ts";
import { ConfigError, parseBoxConfig } from "../config/mod.ts";
import {
  ConfigDraft,
  findingLines,
  InputEnded,
  judgeRunning,
  type Language,
  learn,
  type PulseReader,
} from "../installer/mod.ts";
import { driverLog } from "../log.ts";
import { installerHosts, languageArg, readerFinders, runningBox } from "./installer_hosts.ts";
import { TypedLines } from "./terminal.ts";
import { EXIT, readArgs } from "./usage.ts";

const HELP = `
gatehouse learn [--out FILE] [--lang zh|en]

Watches everything that a box may be wired to, says what it sees ("a 34-bit card 12345678 was just
seen at … address 1; add it as a reader?"), asks for doors and locks, lets each lock click, and writes
box.yaml. What stands in the file already is kept, with its comments. The file is replaced in one step
at the end, after the same check as gatehouse check makes; Ctrl-C before that leaves it as it was. The
box must be stopped.

  --out FILE      the box.yaml to write or to add to, default box.yaml
  --lang zh|en    language; default: that of LC_ALL or LANG
  --root DIR      looks for devices under DIR instead of /; for tests and images

Exit codes: 0 written, 1 a box runs, the file cannot be written, or it was stopped before the end,
2 bad usage, 3 the file is no box.yaml, or what was learned does not make one.
`;

const SAYS = {
  notBox: {
    zh: "无法读取，文件未改动",
    en: "cannot be read as box.yaml; it was left as it was",
  },
  changed: {
    zh: "在学习期间被别人改动过；未写入，请重新执行",
    en: "was changed by somebody meanwhile; nothing was written, run learn again",
  },
  incomplete: {
    zh: "学到的内容还不完整，未写入：",
    en: "what was learned is not whole yet; nothing was written:",
  },
  written: { zh: "已写入", en: "written" },
  next: {
    zh: "下一步：gatehouse doctor --config",
    en: "next: gatehouse doctor --config",
  },
  stopped: { zh: "已停止，没有写入任何文件", en: "stopped; nothing was written" },
} as const;

/** `gatehouse learn`. */
export async function learnCommand(args: string[], signal: AbortSignal): Promise<number> {
  const parsed = readArgs(args, {
    out: { type: "string" },
    lang: { type: "string" },
    root: { type: "string" },
  }, HELP);
  if (parsed === undefined) return EXIT.ok;
  const { out = "box.yaml", root } = parsed.values;
  const language = languageArg(parsed.values.lang);
  const say = (key: keyof typeof SAYS) => SAYS[key][language];
  const existing = await readIfThere(out);
  let draft: ConfigDraft;
  try {
    draft = ConfigDraft.of(existing?.text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    console.error(`${out}: ${say("notBox")}: ${error.message}`);
    return EXIT.badInput;
  }
  await using hosts = installerHosts(root);
  const { clock, devices } = hosts;
  const running = await runningBox(LISTEN_DEFAULT, clock, signal);
  if (running !== undefined) {
    const [found] = judgeRunning(running);
    for (const line of findingLines(found!, language)) console.error(line);
    return EXIT.failed;
  }
  using typed = new TypedLines(language);
  try {
    await learn(
      draft,
      {
        name: idOf(Deno.hostname()),
        timezone: new Intl.DateTimeFormat().resolvedOptions().timeZone,
      },
      typed,
      {
        device: { ...devices, log: driverLog(devices.log) },
        serial: devices.serial,
        inventory: hosts.inventory,
        finders: readerFinders(clock),
        drivers: DRIVERS as readonly AnyDriver[],
        readPulses,
      },
      signal,
    );
  } catch (error) {
    if (!signal.aborted && !(error instanceof InputEnded)) throw error;
    console.error(`\n${say("stopped")}`);
    return EXIT.failed;
  }
  return write(out, draft.toString(), existing, language);
}

/** Where a box listens unless its box.yaml says otherwise. */
const LISTEN_DEFAULT = "127.0.0.1:9180";

/** Checks what was made and puts it in the old one's place. */
async function write(
  out: string,
  made: string,
  existing: { readonly text: string; readonly mode: number } | undefined,
  language: Language,
): Promise<number> {
  const say = (key: keyof typeof SAYS) => SAYS[key][language];
  try {
    parseBoxConfig(made, out, DRIVERS as readonly AnyDriver[]);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(say("incomplete"));
    console.error(error.message);
    return EXIT.badInput;
  }
  if ((await readIfThere(out))?.text !== existing?.text) {
    console.error(`${out} ${say("changed")}`);
    return EXIT.failed;
  }
  try {
    // A link to the file stays one.
    const path = existing === undefined ? resolve(out) : await Deno.realPath(out);
    await Deno.mkdir(dirname(path), { recursive: true });
    // The box may run as another user than the one who installs it.
    writeFileDurably(path, made, existing?.mode ?? 0o644);
  } catch (error) {
    console.error(`${out}: ${(error as Error).message}`);
    return EXIT.failed;
  }
  console.log(`\n${made}\n${out}: ${say("written")}\n${say("next")} ${out}`);
  return EXIT.ok;
}

async function readIfThere(
  path: string,
): Promise<{ readonly text: string; readonly mode: number } | undefined> {
  try {
    const { mode } = await Deno.stat(path);
    return { text: await Deno.readTextFile(path), mode: (mode ?? 0o644) & 0o777 };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** A host's name as an id. */
function idOf(host: string): string {
  return host.toLowerCase().replace(/[^a-z0-9._-]+/g, "-").replace(/^[^a-z0-9]+/, "").slice(
    0,
    64,
  ) ||
    "box";
}

const readPulses: PulseReader = (pulses) => {
  const frame = readFrame(pulses, { parity: "check" });
  if (frame.kind === "card") return { bits: frame.bits, data: frame.data };
  return frame.kind === "refused" && frame.why === "swapped" ? "swapped" : undefined;
};
