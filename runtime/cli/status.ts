import { join } from "node:path";
import * as v from "valibot";
import type { Clock, Led } from "../../hal/mod.ts";
import { boardLed, processClock } from "../../hal/linux/mod.ts";
import {
  answerStatus,
  blink,
  BLINKS,
  type BoxFacts,
  type BoxState,
  boxState,
  type PageFacts,
} from "../installer/status/mod.ts";
import { VERSION } from "../version.ts";
import { runningBox } from "./installer_hosts.ts";
import { DATA_DIR_DEFAULT, EXIT, readArgs, UsageError } from "./usage.ts";

const HELP = `
gatehouse status [--listen HOST:PORT] [--data DIR] [--config FILE] [--setup DIR] [--box HOST:PORT]
                 [--leds DIR] [--minutes N]

Tells whoever has just put a box onto a wall where it stands: as a page, by the board's light, and in
a line whenever it changes. Ends when the box has worked for so many minutes: the page is there after
each start, and nobody is served for years.

  --listen HOST:PORT  the page; default 0.0.0.0:80
  --data DIR          the box's data; default ${DATA_DIR_DEFAULT}
  --config FILE       its box.yaml; default /data/box.yaml
  --setup DIR         where gatehouse setup has put what it made; default /run/gatehouse-setup
  --box HOST:PORT     the box's own interface; default 127.0.0.1:9180
  --leds DIR          the kernel's lights; default /sys/class/leds
  --minutes N         default 60

Exit codes: 0 the box works, or stopped as asked; 1 the page cannot be served; 2 bad usage.
`;

/** How often it looks. */
const LOOK_MS = 3_000;
/** A page is for one phone. */
const CONNECTIONS_MAX = 16;
const SAID_CHARS_MAX = 300;

interface Settings {
  readonly data: string;
  readonly config: string;
  readonly setup: string;
  readonly box: string;
}

/** `gatehouse status`. */
export async function statusCommand(args: string[], signal: AbortSignal): Promise<number> {
  const parsed = readArgs(args, {
    listen: { type: "string", default: "0.0.0.0:80" },
    data: { type: "string", default: DATA_DIR_DEFAULT },
    config: { type: "string", default: "/data/box.yaml" },
    setup: { type: "string", default: "/run/gatehouse-setup" },
    box: { type: "string", default: "127.0.0.1:9180" },
    leds: { type: "string", default: "/sys/class/leds" },
    minutes: { type: "string", default: "60" },
  }, HELP);
  if (parsed === undefined) return EXIT.ok;
  const { listen, leds, minutes, ...settings } = parsed.values;
  const [, hostname, port] = /^(.+):(\d{1,5})$/.exec(listen) ?? [];
  if (hostname === undefined || Number(port) > 65_535) {
    throw new UsageError("--listen: expected HOST:PORT");
  }
  const spanMs = Number(minutes) * 60_000;
  if (!(spanMs > 0)) throw new UsageError("--minutes: expected a number above 0");
  const clock = processClock();
  const desk = new StatusDesk(settings, clock);
  await desk.look(signal);
  let readers = 0;
  let server: Deno.HttpServer;
  try {
    server = Deno.serve({ hostname, port: Number(port), onListen: () => {} }, async (request) => {
      if (readers >= CONNECTIONS_MAX) return new Response(null, { status: 503 });
      readers++;
      try {
        return await answerStatus(request, desk.state, desk.facts);
      } finally {
        readers--;
      }
    });
  } catch (cause) {
    console.error(`gatehouse status: ${listen}: ${(cause as Error).message}`);
    return EXIT.failed;
  }
  const ended = new AbortController();
  const all = AbortSignal.any([signal, ended.signal]);
  const light = shine(boardLed(leds), desk, clock, all);
  await desk.untilWell(spanMs, all);
  ended.abort();
  await light;
  await server.shutdown();
  return EXIT.ok;
}

async function shine(
  led: Led | undefined,
  desk: StatusDesk,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  if (led === undefined) return;
  await blink(led, () => BLINKS[desk.state.kind], clock, signal)
    .catch((error) => console.error(`gatehouse status: ${(error as Error).message}`));
}

/** What is known of the box now. */
class StatusDesk {
  readonly #settings: Settings;
  readonly #clock: Clock;
  state: BoxState = boxState({ addresses: [], enrolled: false, configured: false });
  facts: PageFacts = { name: Deno.hostname(), version: VERSION, addresses: [], readers: [] };

  constructor(settings: Settings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
  }

  /** Looks anew; a change is told in a line. */
  async look(signal: AbortSignal): Promise<void> {
    const { data, config, setup, box: listen } = this.#settings;
    const box = await runningBox(listen, this.#clock, signal);
    const addresses = ownAddresses();
    const enrolled = exists(join(data, "identity/district.json"));
    const fault = settingsFault(await lastLine("gatehouse-setup.service"));
    const joining = !enrolled && exists(join(setup, "enrol.json")) ? await joiningNow() : undefined;
    const facts: BoxFacts = {
      addresses,
      enrolled,
      configured: exists(config),
      ...fault === undefined ? {} : { settingsFault: fault },
      ...joining === undefined ? {} : { joining },
      ...box === undefined ? {} : { box: { faults: box.faults, connected: box.connected } },
    };
    const state = boxState(facts);
    if (state.what.en !== this.state.what.en) {
      console.log(`status: ${state.what.en}${state.advice ? `. ${state.advice.en}` : ""}`);
    }
    this.state = state;
    this.facts = {
      name: Deno.hostname(),
      version: VERSION,
      addresses,
      readers: box?.readers ?? [],
    };
  }

  /** Until the box has worked for `spanMs` without a break, or `signal`. */
  async untilWell(spanMs: number, signal: AbortSignal): Promise<void> {
    let sinceMs = this.#clock.monotonicMs();
    try {
      while (this.#clock.monotonicMs() - sinceMs < spanMs) {
        await this.#clock.sleep(LOOK_MS, signal);
        await this.look(signal);
        const { kind } = this.state;
        if (kind !== "works" && kind !== "alone") sinceMs = this.#clock.monotonicMs();
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}

/** Where others reach this machine. */
function ownAddresses(): string[] {
  return Deno.networkInterfaces()
    .filter(({ name, address, family }) =>
      name !== "lo" && !address.startsWith("127.") &&
      !(family === "IPv6" && /^fe80:/i.test(address))
    )
    .map(({ address }) => address);
}

/** `gatehouse setup` says who this is, or what is wrong. */
function settingsFault(said: string): string | undefined {
  const why = /^setup: (.+)$/.exec(said)?.[1];
  return why === undefined || /^(this is |the card has no |the token is used)/.test(why)
    ? undefined
    : why;
}

async function joiningNow() {
  const said = await lastLine("gatehouse-enrol.service");
  const why = /^gatehouse enrol: (.+?)(; asks again in \S+ s)?$/.exec(said);
  return { said: why?.[1] ?? "", refused: why !== null && why[2] === undefined };
}

const EntrySchema = v.object({ MESSAGE: v.string() });

/** What a unit's program said last since this machine was started; nothing where nobody keeps that. */
async function lastLine(unit: string): Promise<string> {
  try {
    const args = [
      "-b",
      "-n",
      "1",
      "-o",
      "json",
      "--output-fields=MESSAGE",
      "_SYSTEMD_UNIT=" + unit,
    ];
    const { stdout } = await new Deno.Command("journalctl", { args, stderr: "null" }).output();
    const { MESSAGE } = v.parse(EntrySchema, JSON.parse(new TextDecoder().decode(stdout)));
    return MESSAGE.trim().slice(0, SAID_CHARS_MAX);
  } catch {
    return "";
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
