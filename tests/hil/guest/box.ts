/**
 * The box's program in the guest, and what is wired to the chip `gate` of gpio-sim, where the guest's
 * kernel has it: lock, contact, exit button and a Wiegand reader.
 *
 * @module
 */
import { linuxClock } from "../../../hal/linux/mod.ts";
import { SimulatedChip } from "./gpio_sim.ts";

const ROOT = "/gatehouse";
const DATA = "/var/lib/gatehouse";
const CONFIG = "/etc/gatehouse/box.yaml";
const API = "http://127.0.0.1:9180";
const LINE: Readonly<Record<string, number>> = {
  lock: 0,
  contact: 1,
  button: 2,
  data0: 4,
  data1: 5,
};
const CHIP_LINES = 8;
const POLL_MS = 10;
/** 9 s on a free machine; an emulated ARM beside other tests takes many times that. */
const START_MS_MAX = 300_000;
/** Closer together, the simulator sometimes reports the wrong direction. */
const PULL_GAP_MS = 20;
const WATCH_MS = 2;

const clock = linuxClock();
const { signal } = new AbortController();
let chip: SimulatedChip | undefined;
let box: Deno.ChildProcess | undefined;

/** Starts one of Gatehouse's commands with the rights that the launcher gives it. */
function command(name: string, ...args: readonly string[]): Deno.Command {
  const rights = [
    `--permission-set=${name}`,
    `--allow-read=${ROOT},${DATA},/etc/gatehouse,/etc/alpine-release`,
  ];
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

/**
 * Plugs the chip in. A lock's line that nobody drives is pulled up, and a strike is then open; the
 * reader's data lines rest high.
 */
function gateWired(): void {
  chip = new SimulatedChip("gate", CHIP_LINES);
  chip.pull(LINE.lock!, true);
  chip.pull(LINE.data0!, true);
  chip.pull(LINE.data1!, true);
}

/**
 * A card at the Wiegand reader: a low pulse on a data line for each bit of `"0101…"`. Returns the
 * longest time from one pulse to the next, in ms: a busy machine can part a card in two.
 */
function swipe(bits: string): number {
  let [longestMs, lastMs] = [0, clock.monotonicMs()];
  for (const bit of bits) {
    const line = bit === "1" ? LINE.data1! : LINE.data0!;
    const nowMs = clock.monotonicMs();
    [longestMs, lastMs] = [Math.max(longestMs, nowMs - lastMs), nowMs];
    for (const up of [false, true]) {
      chip!.pull(line, up);
      // Not asleep: on a busy machine a guest wakes late.
      const endMs = clock.monotonicMs() + PULL_GAP_MS;
      while (clock.monotonicMs() < endMs);
    }
  }
  return longestMs;
}

let watching: AbortController | undefined;
const levelsSeen: number[] = [];

/** Notes each level that a point has from now on, by polling. */
function watch(point: string): void {
  watching?.abort();
  const stop = watching = new AbortController();
  levelsSeen.length = 0;
  void (async () => {
    while (!stop.signal.aborted) {
      const level = chip!.level(LINE[point]!);
      if (levelsSeen.at(-1) !== level) levelsSeen.push(level);
      await clock.sleep(WATCH_MS, stop.signal).catch(() => {});
    }
  })();
}

/** The levels that {@link watch} saw, each change once. */
function watched(): readonly number[] {
  return levelsSeen;
}

/** Process ids of the box's guards. */
function guardPids(): number[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => name)
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes("/hal/linux/guard/main.ts");
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** Waits until a guard runs that is not among `others`. */
async function guardIsNew(others: readonly number[]): Promise<number> {
  return await until(
    "a new guard",
    30_000,
    () => Promise.resolve(guardPids().find((pid) => !others.includes(pid))),
  );
}

/** Writes the configuration of the next start. */
async function boxConfigure(config: string): Promise<void> {
  await Deno.mkdir("/etc/gatehouse", { recursive: true });
  await Deno.writeTextFile(CONFIG, config);
}

/** Lays out configuration and policy. */
async function boxPrepare(config: string, policy: unknown): Promise<void> {
  await boxConfigure(config);
  await Deno.mkdir(DATA, { recursive: true });
  await Deno.writeTextFile("/etc/gatehouse/policy.json", JSON.stringify(policy));
  const loaded = await command("policy", "load", "/etc/gatehouse/policy.json", "--data", DATA)
    .output();
  if (!loaded.success) throw new Error(new TextDecoder().decode(loaded.stderr));
}

/**
 * Starts the box and waits until it serves; one that still runs is stopped first. What it logs goes to
 * the guest's console.
 */
async function boxStart(): Promise<void> {
  if (box !== undefined) await boxKill("SIGTERM").catch(() => {});
  box = command("box", "--config", CONFIG, "--data", DATA).spawn();
  await until("the box serves", START_MS_MAX, status);
}

/** Has the box stand still, or go on. */
function boxSignal(how: Deno.Signal): void {
  box!.kill(how);
}

/** Ends the box with a signal. */
async function boxKill(how: Deno.Signal): Promise<{ code: number; signal: string | null }> {
  box!.kill(how);
  const { code, signal } = await box!.status;
  return { code, signal };
}

/** What the box says of itself; `undefined` while it does not. */
async function body(): Promise<Record<string, unknown> | undefined> {
  try {
    return await (await fetch(`${API}/healthz`)).json();
  } catch {
    return undefined;
  }
}

async function status(): Promise<Record<string, unknown> | undefined> {
  return (await body())?.status as Record<string, unknown> | undefined;
}

/** Waits until the box has nothing to complain of. */
async function healthy(): Promise<void> {
  let faults: unknown;
  await until("no faults", 60_000, async () => {
    faults = (await body())?.faults;
    return Array.isArray(faults) && faults.length === 0 ? true : undefined;
  });
}

/** Waits until a reader is online, or is not. */
async function readerIs(id: string, online: boolean): Promise<void> {
  await until(`reader ${id} online: ${online}`, 60_000, async () => {
    const readers = (await status())?.readers as { id: string; online: boolean }[] | undefined;
    return readers?.find((reader) => reader.id === id)?.online === online ? true : undefined;
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

/** A value of the box's metrics; `undefined` where there is none yet. */
async function metric(sample: string): Promise<number | undefined> {
  const text = await (await fetch(`${API}/metrics`)).text();
  const line = text.split("\n").find((line) => line.startsWith(`${sample} `));
  return line === undefined ? undefined : Number(line.slice(sample.length));
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
  gateWired,
  swipe,
  boxConfigure,
  boxPrepare,
  boxStart,
  boxSignal,
  boxKill,
  guardPids,
  guardIsNew,
  kill: (pid: number, how: Deno.Signal): void => Deno.kill(pid, how),
  watch,
  watched,
  boxEvents,
  metric,
  readerIs,
  healthy,
  levelIs,
  levelOf: (point: string): number => chip!.level(LINE[point]!),
  pull: (point: string, up: boolean): void => chip!.pull(LINE[point]!, up),
};
