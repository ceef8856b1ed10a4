import * as v from "valibot";
import { HalError } from "../../hal/mod.ts";

/** One of the two systems on a card. */
export type SlotName = "A" | "B";

/** What RAUC says of this machine. */
export interface SystemStatus {
  readonly compatible: string;
  /** The system that runs. */
  readonly booted: SlotName;
  /** The one that the next start takes. */
  readonly next: SlotName;
}

/** RAUC's service, as the box's user may ask it. */
export interface SystemRauc {
  /** What runs and what comes next. @throws `HalError` when there is no RAUC, or it makes no sense. */
  status(): Promise<SystemStatus>;
  /**
   * Installs the bundle at `url` into the slot that does not run, without starting it. Goes on to its
   * end whatever happens to the caller: RAUC cannot be told to stop, only what it reads can.
   *
   * @throws `HalError` with RAUC's own words.
   */
  install(url: string): Promise<void>;
  /** Has the next start try the slot that does not run, or take the one that does. @throws `HalError` */
  activate(which: "booted" | "other"): Promise<void>;
  /** Makes the system that runs the one that stays. @throws `HalError` */
  keep(): Promise<void>;
}

/** What is kept of what RAUC says. */
const SAID_CHARS_MAX = 300;
const slotName = v.picklist(["A", "B"]);
const StatusSchema = v.object({
  compatible: v.pipe(v.string(), v.maxLength(64)),
  booted: slotName,
  boot_primary: v.pipe(v.string(), v.maxLength(64)),
  slots: v.pipe(
    v.array(v.record(v.string(), v.object({ bootname: v.nullish(v.string()) }))),
    v.maxLength(16),
  ),
});

async function rauc(...args: string[]): Promise<string> {
  const { success, stdout, stderr, code } = await new Deno.Command("/usr/bin/rauc", {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder();
  if (success) return text.decode(stdout);
  const said = `${text.decode(stdout)}\n${text.decode(stderr)}`.trim().slice(-SAID_CHARS_MAX);
  throw new HalError("protocol", `rauc ${args[0]} ended with ${code}: ${said}`);
}

/** Reads RAUC's status in JSON. @throws `HalError` `protocol` */
export function parseStatus(text: string): SystemStatus {
  try {
    const { compatible, booted, boot_primary, slots } = v.parse(StatusSchema, JSON.parse(text));
    const primary = slots.find((slot) => boot_primary in slot)?.[boot_primary];
    return { compatible, booted, next: v.parse(slotName, primary?.bootname) };
  } catch (cause) {
    throw new HalError("protocol", `rauc's status makes no sense: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** The service of the system, through its program. */
export const SYSTEM_RAUC: SystemRauc = {
  status: async () => parseStatus(await rauc("status", "--output-format=json")),
  install: async (url) => {
    await rauc("install", url);
  },
  activate: async (which) => {
    await rauc("status", "mark-active", which);
  },
  keep: async () => {
    await rauc("status", "mark-good", "booted");
  },
};
