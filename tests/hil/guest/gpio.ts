/**
 * What the GPIO host and the input driver do on the kernel's simulator: observations only, the host
 * judges them.
 *
 * @module
 */
import type { GpioEdge, GpioSettings } from "../../../hal/mod.ts";
import { linuxClock, linuxGpioHost } from "../../../hal/linux/mod.ts";
import { ABSENT } from "../../../hal/sim/mod.ts";
import { gpioInput } from "../../../drivers/input/gpio/mod.ts";
import { SimulatedChip } from "./gpio_sim.ts";

const clock = linuxClock();
const host = linuxGpioHost(clock);
const { signal } = new AbortController();
const LINES = 8;
/** Closer together, the simulator sometimes reports the wrong direction. */
const PULL_GAP_MS = 20;
/** Closer together, a busy machine makes one of two. */
const EDGE_GAP_MS = 40;
/** More than the 1,024 that the kernel holds for a line. */
const BURST_PULLS = 3_000;
const BURST_GAP_MS = 0.7;
/** No more edges come: much longer than a guest on a busy machine was seen to stand still. */
const QUIET_MS = 3_000;

const sleep = (ms: number) => clock.sleep(ms, signal);
const line = (chip: SimulatedChip, settings: Partial<GpioSettings>) =>
  host.request({ chip: chip.label, line: 0, direction: "input", ...settings }, signal);
const kindOf = (promise: Promise<unknown>) =>
  promise.then(() => "none", (error) => (error as { kind?: string }).kind ?? String(error));

/** Pulls to and fro without letting go of the event loop, so that nobody can follow. */
function burst(chip: SimulatedChip, at: number): void {
  for (let i = 0; i < BURST_PULLS; i++) {
    chip.pull(at, i % 2 === 0);
    const endMs = clock.monotonicMs() + BURST_GAP_MS;
    while (clock.monotonicMs() < endMs);
  }
}

async function take(edges: AsyncIterator<GpioEdge>, quietMs: number): Promise<GpioEdge[]> {
  const taken: GpioEdge[] = [];
  for (;;) {
    const next = edges.next();
    const edge = await Promise.race([next, sleep(quietMs)]);
    if (edge === undefined) {
      next.catch(() => {});
      return taken;
    }
    if (edge.done) return taken;
    taken.push(edge.value);
  }
}

async function outputs(): Promise<unknown> {
  using chip = new SimulatedChip("outputs", LINES);
  const seen: Record<string, unknown> = { before: chip.level(0) };
  {
    await using high = await line(chip, { direction: "output", initial: true });
    await using low = await line(chip, {
      line: 1,
      direction: "output",
      activeLow: true,
      initial: true,
    });
    Object.assign(seen, { initial: chip.level(0), initialActiveLow: chip.level(1) });
    high.write(false);
    low.write(false);
    Object.assign(seen, { written: chip.level(0), writtenActiveLow: chip.level(1) });
    low.write(true);
    Object.assign(seen, { again: chip.level(1), read: low.read() });
    high.write(true);
  }
  return { ...seen, released: chip.level(0) };
}

async function inputs(): Promise<unknown> {
  using chip = new SimulatedChip("inputs", LINES);
  const seen: Record<string, unknown> = {};
  {
    await using up = await line(chip, { bias: "pull-up" });
    await using down = await line(chip, { line: 1, bias: "pull-down" });
    await using inverted = await line(chip, { line: 2, bias: "pull-up", activeLow: true });
    seen.bias = [up.read(), down.read(), inverted.read()];
    seen.pulls = [0, 1, 2].map((at) => chip.pulled(at));
    chip.pull(0, false);
    chip.pull(1, true);
    chip.pull(2, false);
    seen.pulled = [up.read(), down.read(), inverted.read()];
    seen.taken = await kindOf(line(chip, {}));
  }
  seen.freed = await kindOf(line(chip, {}).then((one) => one[Symbol.asyncDispose]()));
  seen.noLine = await kindOf(line(chip, { line: LINES }));
  seen.noChip = await kindOf(host.request({ chip: "none", line: 0, direction: "input" }, signal));
  return seen;
}

async function edges(count: number): Promise<unknown> {
  using chip = new SimulatedChip("edges", LINES);
  await using input = await line(chip, { bias: "pull-down" });
  const stop = new AbortController();
  const following = take(input.edges(stop.signal)[Symbol.asyncIterator](), 1_000);
  const pulls: unknown[] = [];
  for (let i = 0; i < count; i++) {
    const beforeMs = clock.monotonicMs();
    chip.pull(0, i % 2 === 0);
    pulls.push({ active: i % 2 === 0, beforeMs, afterMs: clock.monotonicMs() });
    await sleep(EDGE_GAP_MS);
  }
  const seen = await following;
  stop.abort();
  return { pulls, seen };
}

async function debounce(): Promise<unknown> {
  using chip = new SimulatedChip("debounce", LINES);
  await using input = await line(chip, { bias: "pull-down", debounceMs: 100 });
  const stop = new AbortController();
  const following = input.edges(stop.signal)[Symbol.asyncIterator]();
  for (const up of [true, false, true, false]) {
    chip.pull(0, up);
    await sleep(PULL_GAP_MS);
  }
  // One wait for both parts: an iterator left waiting would swallow the next edge.
  const seen: GpioEdge[] = [];
  const reading = (async () => {
    for (let edge = await following.next(); !edge.done; edge = await following.next()) {
      seen.push(edge.value);
    }
  })();
  await sleep(400);
  const bounced = seen.length;
  chip.pull(0, true);
  await sleep(400);
  stop.abort();
  await reading;
  return { bounced, held: seen.map(({ active, sequence }) => ({ active, sequence })) };
}

async function overrun(): Promise<unknown> {
  using chip = new SimulatedChip("overrun", LINES);
  await using input = await line(chip, { bias: "pull-down" });
  burst(chip, 0);
  const stop = new AbortController();
  const seen = await take(input.edges(stop.signal)[Symbol.asyncIterator](), QUIET_MS);
  stop.abort();
  return seen.map(({ sequence }) => sequence);
}

/** The chip is pulled out under a line that is read, followed and written. */
async function gone(): Promise<unknown> {
  using chip = new SimulatedChip("gone", LINES);
  await using input = await line(chip, {});
  await using output = await line(chip, { line: 1, direction: "output" });
  const following = kindOf((async () => {
    for await (const _ of input.edges(signal));
  })());
  await sleep(100);
  chip.live(false);
  const attempt = (act: () => unknown) => kindOf(Promise.resolve().then(act));
  return {
    following: await Promise.race([following, sleep(3_000).then(() => "still waiting")]),
    reading: await attempt(() => input.read()),
    writing: await attempt(() => output.write(true)),
    asking: await kindOf(line(chip, { line: 2 })),
  };
}

/** The input driver through a burst that it cannot follow, and through a chip pulled and put back. */
async function driver(): Promise<unknown> {
  using chip = new SimulatedChip("driver", LINES);
  const said: unknown[] = [];
  const log = (level: string, message: string, fields?: object) =>
    void said.push({ level, message, ...fields });
  const raw = { chip: chip.label, line: 0, bias: "pull-down", debounceMs: 0 };
  const opened = await gpioInput.open(
    { ...ABSENT, clock, gpio: host, log },
    gpioInput.parseOptions(raw),
    signal,
  );
  await using input = opened;
  const changes: (boolean | null)[] = [];
  input.onChange((active) => void changes.push(active ?? null));
  const start = input.active();
  await sleep(100);
  burst(chip, 0);
  chip.pull(0, true);
  await sleep(1_500);
  const afterBurst = { active: input.active(), said: said.splice(0) };
  changes.length = 0;
  chip.live(false);
  await sleep(1_000);
  const away = { active: input.active() ?? null, said: said.splice(0) };
  chip.live(true);
  // The driver has asked again after at most 2 s by now; its request pulls the line down.
  await sleep(3_000);
  const back = { active: input.active(), said: said.splice(0) };
  chip.pull(0, true);
  await sleep(300);
  return { start, afterBurst, away, back, afterwards: input.active(), changes };
}

/** What the host may call. */
export const gpioProcedures = { outputs, inputs, edges, debounce, overrun, gone, driver };
