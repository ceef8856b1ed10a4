/**
 * The box's program in the guest, with lock, contact and exit button on gpio-sim and its readers on
 * a USB serial adapter.
 *
 * @module
 */
import { linuxClock } from "../../../hal/linux/mod.ts";
import { SimulatedChip } from "./gpio_sim.ts";

const ROOT = "/gatehouse";
const DATA = "/var/lib/gatehouse";
const CONFIG = "/etc/gatehouse/box.yaml";
const API = "http://127.0.0.1:9180";
const LINE: Readonly<Record<string, number>> = { lock: 0, contact: 1, button: 2 };
const POLL_MS = 10;

const clock = linuxClock();
const { signal } = new AbortController();
let chip: SimulatedChip | undefined;
let box: Deno.ChildProcess | undefined;

/** Starts one of Gatehouse's commands with the rights that the launcher gives it. */
function command(name: string, ...args: readonly string[]): Deno.Command {
  const rights = [`--permission-set=${name}`, `--allow-read=${ROOT},${DATA},/etc/gatehouse`];
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", "--cached-only", `--config=${ROOT}/deno.json`],
      ...[...rights, `--allow-write=${DATA}`, `${ROOT}/runtime/main.ts`, name, ...args],
    ],
    stdin: "null",
  });
}

async function until<T>(what: string, timeoutMs: number, look: () => Promise<T | undefined>) {
  const endMs = clock.monotonicMs() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (clock.monotonicMs() > endMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await clock.sleep(POLL_MS, signal);
  }
}

/** Lays out configuration and policy. */
async function boxPrepare(config: string, policy: unknown): Promise<void> {
  chip = new SimulatedChip("gate", 4);
  await Deno.mkdir("/etc/gatehouse", { recursive: true });
  await Deno.mkdir(DATA, { recursive: true });
  await Deno.writeTextFile(CONFIG, config);
  await Deno.writeTextFile("/etc/gatehouse/policy.json", JSON.stringify(policy));
  const loaded = await command("policy", "load", "/etc/gatehouse/policy.json", "--data", DATA)
    .output();
  if (!loaded.success) throw new Error(new TextDecoder().decode(loaded.stderr));
}

/** Starts the box and waits until it serves. What it logs goes to the guest's console. */
async function boxStart(): Promise<void> {
  box = command("box", "--config", CONFIG, "--data", DATA).spawn();
  await until("the box serves", 60_000, status);
}

/** Ends the box with a signal. */
async function boxKill(how: Deno.Signal): Promise<{ code: number; signal: string | null }> {
  box!.kill(how);
  const { code, signal } = await box!.status;
  return { code, signal };
}

async function status(): Promise<Record<string, unknown> | undefined> {
  try {
    const body = await (await fetch(`${API}/healthz`)).json();
    return body.status;
  } catch {
    return undefined;
  }
}

/** Waits until every reader is online, or none. */
async function readersAre(online: boolean): Promise<void> {
  await until(`readers online: ${online}`, 60_000, async () => {
    const readers = (await status())?.readers as { online: boolean }[] | undefined;
    return readers?.every((reader) => reader.online === online) ? true : undefined;
  });
}

/** Waits until a point has a voltage; returns how long that took, in ms. */
async function levelIs(point: string, level: number, timeoutMs: number): Promise<number> {
  const startMs = clock.monotonicMs();
  await until(
    `${point} is ${level}`,
    timeoutMs,
    () => Promise.resolve(chip!.level(LINE[point]!) === level ? true : undefined),
  );
  return clock.monotonicMs() - startMs;
}

/** The kinds of the events in the journal, each with its reason or cause. */
async function boxEvents(): Promise<string[]> {
  const { stdout } = await command("events", "--data", DATA, "--json").output();
  return new TextDecoder().decode(stdout).trim().split("\n").map((text) => {
    const { kind, reason, cause } = JSON.parse(text).event;
    return `${kind} ${reason ?? cause ?? ""}`.trim();
  });
}

/** What the host may call. */
export const boxProcedures = {
  boxPrepare,
  boxStart,
  boxKill,
  boxEvents,
  readersAre,
  levelIs,
  levelOf: (point: string): number => chip!.level(LINE[point]!),
  pull: (point: string, up: boolean): void => chip!.pull(LINE[point]!, up),
};
