import assert from "node:assert/strict";
import { linuxClock } from "../mod.ts";
import { connectUnix } from "../unix_socket.ts";
import { TextLineStream } from "./testing/lines.ts";

const clock = linuxClock();
const never = new AbortController().signal;
const HERE = new URL(".", import.meta.url).pathname;

/** What the two processes of a test share: a folder with the socket, the output and the watchdog. */
class Rig implements AsyncDisposable {
  readonly dir = Deno.makeTempDirSync();
  readonly socket = `${this.dir}/guard.sock`;
  readonly output = `${this.dir}/output`;
  readonly boxes: Box[] = [];

  async box(onCrash: boolean | "keep", heartbeatMs = 1_000): Promise<Box> {
    const box = new Box(this.socket, this.output, onCrash, heartbeatMs);
    this.boxes.push(box);
    await box.said(/^ready/);
    return box;
  }

  /** Levels driven so far: `b` and `u` by the box, `0` and `1` by the guard. */
  levels(): string {
    return read(this.output);
  }

  pets(): string {
    return read(`${this.socket}.watchdog`);
  }

  async levelsBecome(pattern: RegExp, withinMs = 5_000): Promise<void> {
    await until(() => pattern.test(this.levels()), withinMs, () => `${pattern}: ${this.levels()}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const box of this.boxes) {
      kill(box.pid, "SIGKILL");
      for (const pid of box.guards()) kill(pid, "SIGKILL");
      await box.ended;
    }
    await Deno.remove(this.dir, { recursive: true });
  }
}

class Box {
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly lines: string[] = [];
  readonly ended: Promise<void>;

  constructor(socket: string, file: string, onCrash: boolean | "keep", heartbeatMs: number) {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "--no-config", "--allow-ffi", "--allow-run"],
        ...[
          `${HERE}testing/box_child.ts`,
          socket,
          file,
          JSON.stringify(onCrash),
          String(heartbeatMs),
        ],
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const stdin = child.stdin.getWriter();
    [this.#child, this.#stdin] = [child, stdin];
    const reading = (async () => {
      for await (const line of child.stdout.pipeThrough(new TextLineStream())) {
        this.lines.push(line);
      }
    })();
    this.ended = (async () => {
      await child.status;
      await reading;
      await stdin.close().catch(() => {});
    })();
  }

  get pid(): number {
    return this.#child.pid;
  }

  guards(): number[] {
    return this.lines.flatMap((line) => /^guard (\d+)$/.exec(line)?.[1] ?? []).map(Number);
  }

  async said(pattern: RegExp, withinMs = 10_000): Promise<void> {
    await until(
      () => this.lines.some((line) => pattern.test(line)),
      withinMs,
      () => `${pattern}: ${this.lines.join("; ")}`,
    );
  }

  async tell(line: string): Promise<void> {
    await this.#stdin.write(new TextEncoder().encode(line + "\n"));
  }

  kill(signal: Deno.Signal): void {
    Deno.kill(this.pid, signal);
  }
}

function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

function kill(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch {
    // It has ended already.
  }
}

function runs(pid: number): boolean {
  // A child that nobody waited for stays as a zombie.
  return /^State:\s+[^Z]/m.test(read(`/proc/${pid}/status`));
}

async function until(done: () => boolean, withinMs: number, what: () => string): Promise<void> {
  const endMs = clock.monotonicMs() + withinMs;
  while (!done()) {
    if (clock.monotonicMs() > endMs) assert.fail(`not within ${withinMs} ms: ${what()}`);
    await clock.sleep(5, never);
  }
}

for (const onCrash of [true, false] as const) {
  Deno.test(`a killed box: its output goes to on-crash ${onCrash}, and the next box gets the same line`, async () => {
    await using rig = new Rig();
    // Longer than the machine is ever too busy: it is not the heartbeat that tells of the death.
    const first = await rig.box(onCrash, 20_000);
    await first.tell("unlock");
    await rig.levelsBecome(/^bu$/);
    const killedMs = clock.monotonicMs();
    first.kill("SIGKILL");
    await rig.levelsBecome(onCrash ? /^bu1$/ : /^bu0$/);
    const tookMs = clock.monotonicMs() - killedMs;
    assert.ok(tookMs < 5_000, `at once, not after a heartbeat: ${tookMs} ms`);
    const [guard] = first.guards();
    const second = await rig.box(onCrash);
    assert.ok(second.lines.includes("claimed"), second.lines.join());
    assert.deepEqual(second.guards(), [], "the guard of before is used");
    // `ready` drives what nobody drove since; the descriptor is that of the first box's file.
    await rig.levelsBecome(/^bu[01]b$/);
    await second.tell("goodbye");
    await until(() => !runs(guard!), 5_000, () => "the guard ends with the goodbye");
    assert.match(rig.levels(), /^bu[01]b$/, "a goodbye drives nothing");
    assert.match(rig.pets(), /d$/, "a goodbye disarms the watchdog");
  });
}

Deno.test("a box that dies with `keep` keeps its level", async () => {
  await using rig = new Rig();
  const box = await rig.box("keep");
  await box.tell("unlock");
  await rig.levelsBecome(/^bu$/);
  box.kill("SIGKILL");
  await clock.sleep(1_500, never);
  assert.equal(rig.levels(), "bu");
});

Deno.test("a stopped box: on-crash after the heartbeat, no petting; then it drives its outputs again", async () => {
  await using rig = new Rig();
  const box = await rig.box(true);
  await box.tell("unlock");
  await rig.levelsBecome(/^bu$/);
  await until(() => /ap+$/.test(rig.pets()), 5_000, () => `petted: ${rig.pets()}`);
  box.kill("SIGSTOP");
  const stoppedMs = clock.monotonicMs();
  await rig.levelsBecome(/^bu1$/);
  const tookMs = clock.monotonicMs() - stoppedMs;
  assert.ok(tookMs > 600, `after the heartbeat: ${tookMs} ms`);
  const pets = rig.pets();
  // Longer than it would wait for its guard, which must not be blamed for its own standing still.
  await clock.sleep(9_000, never);
  assert.equal(rig.pets(), pets, "a frozen box's watchdog is not petted");
  assert.equal(rig.levels(), "bu1");
  box.kill("SIGCONT");
  await rig.levelsBecome(/^bu1u$/);
  await until(() => rig.pets().length > pets.length, 5_000, () => "petted again");
  await box.said(/driven again/);
  assert.equal(box.guards().length, 1, "its guard was left alone");
});

Deno.test("a blocked event loop, and doors that stand still, count as dead", async () => {
  await using rig = new Rig();
  const box = await rig.box(true);
  await box.tell("block 2500");
  await rig.levelsBecome(/^b1b$/);
  await box.tell("stuck");
  await rig.levelsBecome(/^b1b1$/);
  await clock.sleep(1_000, never);
  assert.equal(rig.levels(), "b1b1", "a box whose doors stand still is not given its outputs back");
});

Deno.test("a killed guard is replaced within a second, and holds the lines again", async () => {
  await using rig = new Rig();
  const box = await rig.box(true);
  Deno.kill(box.guards()[0]!, "SIGKILL");
  const killedMs = clock.monotonicMs();
  // `ready` is said again, and drives.
  await rig.levelsBecome(/^bb$/);
  const tookMs = clock.monotonicMs() - killedMs;
  console.log(`a guard was replaced in ${Math.round(tookMs)} ms`);
  box.kill("SIGKILL");
  await rig.levelsBecome(/^bb1$/);
});

Deno.test("a guard that hangs is killed and replaced", async () => {
  await using rig = new Rig();
  const box = await rig.box(false);
  const [hung] = box.guards();
  Deno.kill(hung!, "SIGSTOP");
  await rig.levelsBecome(/^bb$/, 20_000);
  assert.ok(!runs(hung!));
  box.kill("SIGKILL");
  await rig.levelsBecome(/^bb0$/);
});

Deno.test("a guard of another version, which outlived an update, makes way for the box's own", async () => {
  await using rig = new Rig();
  const other = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-config",
      "--allow-ffi",
      `${HERE}testing/old_guard.ts`,
      rig.socket,
    ],
    stdin: "null",
  }).spawn();
  await until(() => read("/proc/net/unix").includes(rig.socket), 10_000, () => "it listens");
  const box = await rig.box(true);
  assert.ok(box.lines.includes("ready "), `without fault: ${box.lines.join()}`);
  assert.equal((await other.status).signal, "SIGKILL");
  box.kill("SIGKILL");
  await rig.levelsBecome(/^b1$/);
});

Deno.test("nonsense on the socket frees no door and keeps nobody out", async () => {
  await using rig = new Rig();
  const box = await rig.box(true);
  const [guard] = box.guards();
  const descriptors = () => [...Deno.readDirSync(`/proc/${guard}/fd`)].length;
  const before = descriptors();
  // A second one is refused while the box is there.
  const second = connectUnix(rig.socket)!;
  const refusal = await second.receive(never);
  assert.deepEqual(JSON.parse(new TextDecoder().decode(refusal!.bytes)), { kind: "busy" });
  assert.equal(await second.receive(never), null);
  second.close();
  box.kill("SIGKILL");
  await rig.levelsBecome(/^b1$/);
  const seed = Math.floor(Math.random() * 2 ** 32);
  console.log(`seed ${seed}`);
  let state = seed;
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  const file = Deno.openSync(rig.output);
  for (let i = 0; i < 200; i++) {
    const link = connectUnix(rig.socket)!;
    const length = 1 + Math.floor(random() * 200);
    const bytes = i % 2 === 0
      ? Uint8Array.from({ length }, () => Math.floor(random() * 256))
      : new TextEncoder().encode(
        ['{"kind":"hold","id":"../x"}', "[]", '{"kind":"alive","n":-1}', "null"][i % 4]!,
      );
    // Descriptor 0 of this process comes along with some.
    link.send(bytes, i % 3 === 0 ? 0 : null);
    while (await link.receive(never) !== null);
    link.close();
  }
  file.close();
  assert.ok(runs(guard!));
  await until(() => descriptors() <= before, 5_000, () => `${descriptors()} of ${before} open`);
  const next = await rig.box(true);
  assert.ok(next.lines.includes("claimed"));
});

Deno.test("the guard costs little memory", async () => {
  await using rig = new Rig();
  const box = await rig.box(true);
  const status = read(`/proc/${box.guards()[0]}/status`);
  const ofMiB = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)![1]) / 1024;
  const [all, own] = [ofMiB("VmRSS"), ofMiB("RssAnon")];
  console.log(`guard: ${all.toFixed(0)} MiB resident, ${own.toFixed(0)} MiB of it its own`);
  assert.ok(own < 40, `${own} MiB`);
});

Deno.test("the real program: one a socket, and SIGTERM ends it when no box is there", async () => {
  await using rig = new Rig();
  const program = () =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-config", "--allow-ffi", `${HERE}main.ts`, rig.socket],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
  const first = program();
  await until(() => read(`/proc/net/unix`).includes(rig.socket), 10_000, () => "it listens");
  const second = await program().output();
  assert.equal(second.code, 1);
  assert.match(new TextDecoder().decode(second.stderr), /another guard/);
  first.kill("SIGINT");
  const box = connectUnix(rig.socket)!;
  box.send(new TextEncoder().encode('{"kind":"hello","protocol":1,"heartbeatMs":60000}'));
  assert.match(new TextDecoder().decode((await box.receive(never))!.bytes), /welcome/);
  first.kill("SIGTERM");
  assert.match(new TextDecoder().decode((await box.receive(never))!.bytes), /ping/);
  box.send(new TextEncoder().encode('{"kind":"goodbye"}'));
  assert.equal(await box.receive(never), null);
  box.close();
  assert.equal((await first.output()).code, 0);
});
