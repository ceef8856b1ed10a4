import assert from "node:assert/strict";
import { VirtualClock } from "../../sim/mod.ts";
import { Guard } from "./guard.ts";
import type { FromGuard, ToGuard } from "./messages.ts";

const HEARTBEAT_MS = 2_000;
const hello: ToGuard = {
  kind: "hello",
  protocol: 1,
  heartbeatMs: HEARTBEAT_MS,
  watchdog: { path: "/dev/watchdog0", timeoutMs: 8_000 },
};
const hold = (id: string, onCrash: boolean | "keep", activeLow = false): ToGuard => ({
  kind: "hold",
  id,
  onCrash,
  activeLow,
});

/** A box's end of the connection; it answers pings while `alive`. */
class Link {
  readonly got: (FromGuard & { fd?: number })[] = [];
  readonly guard: Guard;
  alive = true;
  closed = false;

  constructor(guard: Guard) {
    this.guard = guard;
  }

  send(message: FromGuard, fd?: number): boolean {
    if (message.kind === "ping") {
      if (this.alive) queueMicrotask(() => this.say({ kind: "alive", n: message.n }));
    } else this.got.push({ ...message, ...(fd === undefined ? {} : { fd }) });
    return true;
  }

  close(): void {
    this.closed = true;
  }

  say(message: ToGuard | undefined, fd?: number): void {
    this.guard.receive(this, message, fd);
  }
}

function rig(stay = false) {
  const clock = new VirtualClock();
  const driven: string[] = [];
  const closed: number[] = [];
  const dog: string[] = [];
  const logged: string[] = [];
  let done = 0;
  /** How much later than its timers the clock is: the process was stopped meanwhile. */
  const stood = { ms: 0 };
  const guard = new Guard({
    clock: {
      monotonicMs: () => clock.monotonicMs() + stood.ms,
      wallMs: () => clock.wallMs(),
      wallQuality: () => clock.wallQuality(),
      sleep: (delayMs, signal) => clock.sleep(delayMs, signal),
      schedule: (delayMs, callback) => clock.schedule(delayMs, callback),
    },
    drive: (fd, active) => {
      if (fd === 666) throw new Error("the chip is gone");
      driven.push(`${fd}=${active}`);
    },
    close: (fd) => closed.push(fd),
    armWatchdog: ({ path, timeoutMs }) => {
      if (path === "/dev/none") throw new Error("there is none");
      dog.push(`arm ${timeoutMs}`);
      return {
        timeoutMs,
        pet: () => dog.push(`pet ${Math.round(clock.monotonicMs())}`),
        [Symbol.asyncDispose]: () => {
          dog.push("disarm");
          return Promise.resolve();
        },
      };
    },
    log: (_level, message) => logged.push(`${message} after ${driven.length}`),
    onDone: () => done++,
  }, stay);
  const connect = (first: ToGuard = hello) => {
    const link = new Link(guard);
    guard.connected(link);
    link.say(first);
    return link;
  };
  return { clock, stood, logged, driven, closed, dog, guard, connect, done: () => done };
}

Deno.test("an answering box is left alone, and its watchdog petted", async () => {
  const { clock, driven, dog, connect } = rig();
  const link = connect();
  link.say(hold("gpiochip0/1", true), 7);
  link.say({ kind: "ready" });
  await clock.advance(4_000);
  assert.deepEqual(dog, ["arm 8000", "pet 2000", "pet 4000"]);
  assert.deepEqual(driven, []);
});

Deno.test("a box has a minute to start, however short the watchdog's time-out, and then it is reset", async () => {
  const { clock, dog, connect } = rig();
  const link = connect();
  link.alive = false;
  await clock.advance(30_000);
  assert.equal(dog.length, 1 + 15, "petted while it loads and answers nothing");
  await clock.advance(30_000);
  const pets = dog.length;
  await clock.advance(30_000);
  assert.equal(dog.length, pets, "a minute is over");
});

Deno.test("a box that dies at each start is reset: its minute is not given again before it was ready", async () => {
  const { clock, dog, guard, connect } = rig();
  for (let start = 0; start < 7; start++) {
    const link = connect();
    await clock.advance(10_000);
    guard.disconnected(link);
  }
  const pets = dog.length;
  assert.ok(pets <= 1 + 30, `${pets - 1} pets`);
  const link = connect();
  await clock.advance(10_000);
  assert.equal(dog.length, pets);
  link.say({ kind: "ready" });
  await clock.advance(2_000);
  assert.equal(dog.length, pets + 1);
  guard.disconnected(link);
  connect();
  await clock.advance(10_000);
  assert.ok(dog.length > pets + 3, "after it was ready, the next start has its minute again");
});

Deno.test("silence of a heartbeat drives every line, once; an answer gives them back", async () => {
  const { clock, logged, driven, dog, connect } = rig();
  const link = connect();
  link.say(hold("gpiochip0/1", true), 7);
  link.say(hold("gpiochip0/2", false), 8);
  link.say(hold("gpiochip0/3", "keep"), 9);
  link.say(hold("gpiochip9/9", true), 666);
  link.say({ kind: "ready" });
  await clock.advance(1_000);
  link.alive = false;
  const stoppedMs = clock.monotonicMs();
  while (driven.length === 0) await clock.advance(10);
  const tookMs = clock.monotonicMs() - stoppedMs;
  assert.ok(tookMs > HEARTBEAT_MS - 250 && tookMs <= HEARTBEAT_MS + 250, `${tookMs} ms`);
  assert.deepEqual(logged, [
    "the box does not answer: outputs go to their on-crash state after 2",
    "an output could not be driven after 2",
  ], "told when it is done: a log can block");
  const pets = dog.length;
  await clock.advance(30_000);
  assert.deepEqual(driven, ["7=true", "8=false"]);
  assert.equal(dog.length, pets, "not petted any more");
  // Answers to what was asked before the silence was judged are no news.
  link.say({ kind: "alive", n: 1 });
  assert.ok(!link.got.some(({ kind }) => kind === "resumed"));
  link.alive = true;
  await clock.advance(300);
  const resumed = link.got.find((message) => message.kind === "resumed");
  assert.ok(resumed!.deadMs >= 30_000 && resumed!.deadMs <= 33_000, `${resumed!.deadMs}`);
  await clock.advance(4_000);
  assert.ok(dog.length > pets, "petted again");
  assert.deepEqual(driven, ["7=true", "8=false"]);
});

Deno.test("a guard that itself stood still asks first, and blames only a box that does not answer", async () => {
  for (const alive of [true, false]) {
    const { clock, stood, driven, connect } = rig();
    const link = connect();
    link.say(hold("gpiochip0/1", true), 7);
    link.say({ kind: "ready" });
    await clock.advance(1_000);
    // Its next tick is late by as much.
    stood.ms = 60_000;
    link.alive = alive;
    await clock.advance(250);
    assert.deepEqual(driven, []);
    await clock.advance(250);
    assert.deepEqual(driven, alive ? [] : ["7=true"]);
    await clock.advance(10_000);
    assert.deepEqual(driven, alive ? [] : ["7=true"]);
  }
});

Deno.test("a guard that is late every time still sees a silent box", async () => {
  const { clock, stood, driven, connect } = rig();
  const link = connect();
  link.say(hold("gpiochip0/1", true), 7);
  link.alive = false;
  // Each tick comes 1.25 s after the one before instead of 0.25 s.
  let ticks = 0;
  for (; driven.length === 0 && ticks < 20; ticks++) {
    stood.ms += 1_000;
    await clock.advance(250);
  }
  assert.ok(ticks * 1_250 <= HEARTBEAT_MS + 2 * 1_250, `after ${ticks} ticks`);
});

Deno.test("a lost box's lines are driven and held, and given to the next one as they are", async () => {
  const { clock, driven, closed, dog, guard, connect, done } = rig();
  const first = connect();
  first.say(hold("gpiochip0/1", true, true), 7);
  first.say(hold("gpiochip0/2", false), 8);
  first.say({ kind: "ready" });
  await clock.advance(1_000);
  guard.disconnected(first);
  assert.deepEqual(driven.splice(0), ["7=true", "8=false"]);
  const pets = dog.length;
  await clock.advance(3_600_000);
  assert.deepEqual([closed, done(), dog.length], [[], 0, pets]);
  const second = connect();
  assert.deepEqual(second.got, [
    { kind: "welcome", protocol: 1, lines: ["gpiochip0/1", "gpiochip0/2"] },
  ]);
  second.say({ kind: "claim", id: "gpiochip0/1" });
  second.say({ kind: "claim", id: "gpiochip0/7" });
  assert.deepEqual(second.got.slice(1), [
    { kind: "claimed", id: "gpiochip0/1", activeLow: true, fd: 7 },
    { kind: "claimed", id: "gpiochip0/7", activeLow: false },
  ]);
  second.say(hold("gpiochip0/1", false), 9);
  assert.deepEqual(closed, [7], "a descriptor is replaced, not kept beside the new one");
  second.say({ kind: "ready" });
  assert.deepEqual(closed, [7, 8], "what nobody claimed is free");
  assert.equal(dog.filter((word) => word.startsWith("arm")).length, 1, "still the same watchdog");
  guard.disconnected(second);
  assert.deepEqual(driven, ["9=false"], "as the second box said");
});

Deno.test("a goodbye drives nothing, disarms, and ends it; one that stays holds what was left", async () => {
  for (const stay of [false, true]) {
    const { clock, driven, closed, dog, connect, done } = rig(stay);
    const link = connect();
    link.say(hold("gpiochip0/1", true), 7);
    link.say(hold("gpiochip0/2", true), 8);
    link.say({ kind: "release", id: "gpiochip0/1", leave: true });
    link.say({ kind: "release", id: "gpiochip0/2", leave: false });
    assert.deepEqual(link.got.slice(1).map(({ kind }) => kind), ["released", "released"]);
    link.say({ kind: "goodbye" });
    await clock.advance(60_000);
    assert.deepEqual(driven, []);
    assert.ok(link.closed);
    assert.deepEqual(dog, ["arm 8000", "disarm"]);
    assert.deepEqual([closed, done()], stay ? [[8], 0] : [[7, 8], 1]);
    if (!stay) continue;
    const next = connect();
    next.say({ kind: "claim", id: "gpiochip0/1" });
    assert.equal(next.got[1]!.fd, 7);
  }
});

Deno.test("told to end, it waits for the box that is connected", () => {
  const alone = rig();
  alone.guard.end();
  assert.equal(alone.done(), 1);
  const { guard, connect, driven, done } = rig(true);
  const link = connect();
  link.say(hold("gpiochip0/1", true), 7);
  guard.end();
  assert.equal(done(), 0);
  guard.disconnected(link);
  assert.deepEqual([driven, done()], [["7=true"], 1]);
});

Deno.test("nobody else may speak for the box, and nonsense is its death", () => {
  const { guard, driven, closed, connect } = rig();
  const link = connect();
  link.say(hold("gpiochip0/1", true), 7);
  const other = new Link(guard);
  assert.equal(guard.connected(other), false);
  assert.ok(other.closed);
  assert.deepEqual(other.got, [{ kind: "busy" }]);
  other.say({ kind: "release", id: "gpiochip0/1", leave: false });
  guard.disconnected(other);
  assert.deepEqual([driven, closed], [[], []]);
  link.say({ kind: "ready" }, 55);
  assert.deepEqual(closed, [55], "a descriptor that nobody asked for is closed");
  assert.deepEqual(driven, ["7=true"]);
  assert.ok(link.closed);
});

Deno.test("a guard that got nothing to hold ends; lines are bounded", async () => {
  const { clock, guard, connect, done, closed } = rig();
  await clock.advance(30_000);
  assert.equal(done(), 1);
  const link = connect();
  for (let i = 0; i < 200; i++) link.say(hold(`gpiochip0/${i}`, true), 1_000 + i);
  assert.equal(closed.length, 200 - 128);
  assert.equal(link.got.filter(({ kind }) => kind === "fault").length, 200 - 128);
  guard[Symbol.dispose]();
  assert.equal(closed.length, 200);
});

Deno.test("a watchdog that cannot be armed is told, and one that is set otherwise is armed anew", () => {
  const { guard, dog, connect } = rig();
  const first = connect({ ...hello, watchdog: { path: "/dev/none", timeoutMs: 8_000 } });
  assert.deepEqual(first.got[1], { kind: "fault", message: "there is none" });
  guard.disconnected(first);
  const second = connect();
  guard.disconnected(second);
  const third = connect({ ...hello, watchdog: { path: "/dev/watchdog0", timeoutMs: 9_000 } });
  guard.disconnected(third);
  connect({ kind: "hello", protocol: 1, heartbeatMs: HEARTBEAT_MS });
  assert.deepEqual(dog, ["arm 8000", "disarm", "arm 9000", "disarm"]);
});
