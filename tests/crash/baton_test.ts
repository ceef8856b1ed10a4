/**
 * A baton with 8,000 reads is pulled out at 20 random bytes of its download and plugged in again, and
 * the box is killed with SIGKILL at 10 others. In the journal each read must stand once, with its time
 * corrected for a quartz that went wrong by minutes.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { linuxClock, openPtyPair, type PtyPair } from "../../hal/linux/mod.ts";
import { SimulatedBaton, type TouchedTag } from "../../hal/sim/mod.ts";
import type { SerialPort } from "../../hal/mod.ts";
import { JournalReader } from "../../runtime/journal/reader.ts";
import { until } from "../support/gate_bench.ts";

const READS = 8_000;
const PULLS = 20;
const KILLS = 10;
/** A chunk takes about so long to be stored, when no byte flows: most deeds fall into that time. */
const STORING_MS = 60;
const DAY_MS = 86_400_000;
/** Bytes that the reads take on the line; what is said beside them only makes it more. */
const DOWNLOAD_BYTES = READS * 19;
/** Between two looks at a busy box the clocks are compared; without correction it would be minutes. */
const TOLERANCE_MS = 1_000;
const CHILD = new URL("./baton_child.ts", import.meta.url).pathname;
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;
const clock = linuxClock();
const never = new AbortController().signal;

/** The baton's end of a cable, that counts what goes over it and is cut within a byte. */
function counted(port: SerialPort, pass: (bytes: number) => number): SerialPort {
  return {
    settings: port.settings,
    async read(signal) {
      const chunk = await port.read(signal);
      pass(chunk.bytes.length);
      return chunk;
    },
    async write(bytes, signal) {
      const whole = pass(bytes.length);
      await port.write(bytes.subarray(0, whole), signal);
    },
    drain: (signal) => port.drain(signal),
    discardInput: () => port.discardInput(),
    [Symbol.asyncDispose]: () => port[Symbol.asyncDispose](),
  };
}

/** Where something happens, and how long after that byte. */
interface Point {
  readonly atByte: number;
  readonly delayMs: number;
  readonly what: "pull" | "kill";
}

class Site implements AsyncDisposable {
  readonly dir: string;
  readonly data: string;
  readonly #config: string;
  readonly #link: string;
  readonly #baton: SimulatedBaton;
  readonly #points: Point[];
  #passed = 0;
  #child: Deno.ChildProcess | undefined;
  #pair: PtyPair | undefined;
  #busy: Promise<void> = Promise.resolve();
  readonly done = { pulls: 0, kills: 0 };
  readonly lines: string[] = [];
  failed: string | undefined;

  constructor(dir: string, baton: SimulatedBaton, points: readonly Point[]) {
    this.dir = dir;
    this.data = join(dir, "data");
    this.#config = join(dir, "box.yaml");
    this.#link = join(dir, "cradle");
    this.#baton = baton;
    this.#points = [...points].sort((a, b) => a.atByte - b.atByte);
    Deno.writeTextFileSync(
      this.#config,
      `box: { name: gate, timezone: Asia/Shanghai }
buses: [{ id: cradle, kind: serial, path: ${this.#link} }]
batons: [{ id: guards, driver: baton-serial, bus: cradle }]
outputs: [{ id: lock, driver: simulated, chip: none, line: 0 }]
doors: [{ id: main, lock: lock, kind: strike }]
`,
    );
  }

  get left(): readonly Point[] {
    return this.#points;
  }

  get bytes(): number {
    return this.#passed;
  }

  plug(): void {
    const pair = openPtyPair(clock);
    const link = `${this.#link}.new`;
    Deno.symlinkSync(pair.path, link);
    Deno.renameSync(link, this.#link);
    this.#pair = pair;
    void this.#baton.plug(counted(pair.port, (bytes) => this.#pass(pair, bytes)), never);
  }

  start(): void {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", `--config=${CONFIG}`, CHILD, this.data, this.#config],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#child = child;
    void child.status.then(({ code, signal }) => {
      if (code !== 0 && signal !== "SIGKILL") this.failed = `the box ended by itself with ${code}`;
    });
    void child.stdout.pipeThrough(new TextDecoderStream()).pipeTo(
      new WritableStream({ write: (text) => void this.lines.push(text) }),
    );
  }

  async stop(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    this.#child?.kill(signal);
    await this.#child?.status;
  }

  /** Resolves when nothing is being pulled or started. */
  async settled(): Promise<void> {
    await this.#busy;
  }

  /** How many of `bytes` get through. */
  #pass(pair: PtyPair, bytes: number): number {
    if (pair !== this.#pair) return 0;
    const next = this.#points[0];
    if (next === undefined || this.#passed + bytes <= next.atByte) {
      this.#passed += bytes;
      return bytes;
    }
    this.#points.shift();
    const through = Math.max(0, next.atByte - this.#passed);
    this.#passed += bytes;
    if (next.what === "kill") {
      this.done.kills++;
      this.#busy = this.#busy.then(async () => {
        if (next.delayMs > 0) await clock.sleep(next.delayMs, never);
        await this.stop("SIGKILL");
        this.start();
      });
      return bytes;
    }
    this.done.pulls++;
    if (next.delayMs === 0) this.#pair = undefined;
    this.#busy = this.#busy.then(async () => {
      await clock.sleep(next.delayMs, never);
      // Another pull may have come between.
      const plugged = this.#pair ?? pair;
      this.#pair = undefined;
      // What got through so far is on its way yet.
      await clock.sleep(5, never);
      await plugged[Symbol.asyncDispose]();
      await clock.sleep(100, never);
      this.plug();
    });
    if (next.delayMs > 0) return bytes;
    return through;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#busy.catch(() => {});
    await this.stop("SIGKILL").catch(() => {});
    await this.#pair?.[Symbol.asyncDispose]();
    await Deno.remove(this.dir, { recursive: true });
  }
}

Deno.test(`a baton with ${READS} reads, pulled ${PULLS} times, the box killed ${KILLS} times: each read once`, async () => {
  const seed = Number(Deno.env.get("SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  console.log(`seed ${seed}`);
  let word = seed >>> 0;
  const random = (below: number) =>
    Math.floor((word = (Math.imul(word, 1664525) + 1013904223) >>> 0) / 2 ** 32 * below);

  const setAtWallMs = clock.wallMs() - 30 * DAY_MS;
  const baton = new SimulatedBaton(clock, { serial: "GB-1729", driftPpm: 80, setAtWallMs });
  const touched = Array.from({ length: READS }, (_, index): TouchedTag => ({
    tag: random(0xffff_ffff).toString(16).padStart(8, "0") + "c40100e0",
    atWallMs: setAtWallMs + Math.floor((index + 1) * 29 * DAY_MS / READS) + random(60_000),
  })).sort((a, b) => a.atWallMs - b.atWallMs);
  baton.touch(...touched);
  const offMs = baton.shownMs() - clock.wallMs();
  assert.ok(offMs > 200_000, `its clock is wrong by ${offMs} ms`);

  const point = (what: "pull" | "kill"): Point => ({
    atByte: random(DOWNLOAD_BYTES),
    delayMs: random(4) === 0 ? 0 : 1 + random(STORING_MS),
    what,
  });
  const points = [
    ...Array.from({ length: PULLS }, () => point("pull")),
    ...Array.from({ length: KILLS }, () => point("kill")),
  ];
  const dir = await Deno.makeTempDir({ prefix: "gatehouse-baton-" });
  await using site = new Site(dir, baton, points);
  site.plug();
  site.start();
  const startMs = clock.monotonicMs();
  const endMs = startMs + 180_000;
  while (baton.held > 0 || site.left.length > 0) {
    assert.equal(site.failed, undefined);
    if (clock.monotonicMs() > endMs) {
      assert.fail(`${baton.held} reads are left; the box said:\n${site.lines.slice(-20).join("")}`);
    }
    await clock.sleep(50, never);
    await site.settled();
  }
  await until("its clock was set", () => Math.abs(baton.shownMs() - clock.wallMs()) < 1_000);
  await site.stop("SIGTERM");
  assert.deepEqual(site.done, { pulls: PULLS, kills: KILLS });
  assert.equal(baton.cleared, 1);

  using reader = new JournalReader(site.data);
  for (const { lane, brokenAt } of reader.verify()) assert.equal(brokenAt, undefined, lane);
  const times = new Map<number, number>();
  let worstMs = 0;
  for (const { event } of reader.events({ alarm: 0, command: 0, access: 0, telemetry: 0 })) {
    if (event.kind !== "patrol.read") continue;
    const { record, tag, readAtMs, baton: serial, source } = event;
    assert.ok(!times.has(record!), `read ${record} is in the journal twice`);
    times.set(record!, readAtMs);
    const true_ = touched[record! - 1]!;
    assert.deepEqual([serial, source, tag], ["GB-1729", "guards", true_.tag]);
    worstMs = Math.max(worstMs, Math.abs(readAtMs - true_.atWallMs));
  }
  assert.equal(times.size, READS, "every read is there");
  assert.ok(worstMs <= TOLERANCE_MS, `a time is off by ${worstMs} ms`);
  console.log(
    `${PULLS} pulls, ${KILLS} kills, ${site.bytes} bytes in ${
      Math.round(clock.monotonicMs() - startMs)
    } ms: ${times.size} reads, 0 lost, 0 doubled, times within ${worstMs} ms (uncorrected ${offMs} ms)`,
  );
});
