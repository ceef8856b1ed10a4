/**
 * A real box on a bench: its program, a serial line with two simulated readers, everything wired to
 * the readers' own relays and contacts.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Program, runProgram } from "../../demo/program.ts";
import type { Clock } from "../../hal/mod.ts";
import { linuxClock, openPtyPair, type PtyPair } from "../../hal/linux/mod.ts";
import { type SimulatedOsdpReader, simulateOsdpReaders } from "../../hal/sim/osdp_reader/mod.ts";

/** The clock of every test on a bench. */
export const clock: Clock = linuxClock();

/** A box on a bench. Disposal removes everything but a program that runs. */
export interface Bench extends AsyncDisposable {
  readonly dir: string;
  readonly data: string;
  readonly config: string;
  readonly pair: PtyPair;
  readonly inside: SimulatedOsdpReader;
  readonly outside: SimulatedOsdpReader;
  start(): Promise<Program>;
  /** Events of the journal, through `gatehouse events --json`. */
  events(): Promise<Record<string, unknown>[]>;
}

/** A person who may pass at any time, and one who may at none. */
export const POLICY = {
  schema: 1,
  schedules: [{ id: "never", name: "从不", weekly: [] }],
  accessLevels: [
    { id: "staff", name: "教职工", grants: [{ doors: ["main"], schedule: "always" }] },
    { id: "night", name: "夜间", grants: [{ doors: ["main"], schedule: "never" }] },
  ],
  cardholders: [
    { id: 1, name: "张三", accessLevels: ["staff"] },
    { id: 2, name: "李四", accessLevels: ["night"] },
  ],
  credentials: [
    { id: 11, cardholder: 1, bits: 32, hex: "04a1b2c3" },
    { id: 12, cardholder: 2, bits: 26, hex: "02418c0e" },
  ],
};
/** A card that may pass. */
export const ZHANG: Uint8Array = Uint8Array.of(0x04, 0xa1, 0xb2, 0xc3);
/** A card of 26 bits, left-aligned, that may not pass at this hour. */
export const LI: Uint8Array = Uint8Array.of(0x90, 0x63, 0x03, 0x80);

/** Both readers take files, and restart then. */
const FILES = { rebootMs: 500 };

/**
 * Sets a bench up; the box is not started yet. With `key`, the reader inside demands the secure channel
 * under it, and box.yaml names `inside.key` in the data folder, which is the caller's to write. With
 * `folder`, everything is in there.
 */
export async function bench(key?: Uint8Array, folder?: string): Promise<Bench> {
  const dir = await Deno.makeTempDir({
    prefix: "gatehouse-box-",
    ...folder === undefined ? {} : { dir: folder },
  });
  const stop = new AbortController();
  const pair = openPtyPair(clock);
  const secure = key === undefined ? {} : { key, secureOnly: true };
  const line = simulateOsdpReaders(
    pair.port,
    clock,
    [{ address: 0, ...secure, file: FILES }, { address: 1, file: FILES }],
    stop.signal,
  );
  const [data, config] = [join(dir, "data"), join(dir, "box.yaml")];
  const keyFile = key === undefined ? "" : `, keyFile: ${join(data, "inside.key")}`;
  await Deno.writeTextFile(
    config,
    `
box: { name: east-gate, timezone: Asia/Shanghai }
api: { listen: "127.0.0.1:0" }
buses: [{ id: bus, kind: serial, path: ${pair.path}, baudRate: 38400 }]
readers:
  - { id: in, driver: osdp, bus: bus, address: 0, door: main${keyFile} }
  - { id: out, driver: osdp, bus: bus, address: 1, door: main }
outputs: [{ id: lock, driver: osdp, reader: in, index: 0 }]
inputs:
  - { id: contact, driver: osdp, reader: in, index: 0 }
  - { id: button, driver: osdp, reader: out, index: 0 }
  - { id: fire, driver: osdp, reader: out, index: 1 }
doors:
  - { id: main, lock: lock, kind: strike, holdMs: 1500, heldOpenMs: 1000, contact: contact, requestToExit: button }
release: [{ input: fire }]
`,
  );
  return {
    dir,
    data,
    config,
    pair,
    inside: line.reader(0),
    outside: line.reader(1),
    async start() {
      const program = new Program(["box", "--config", config, "--data", data], clock);
      const { api } = await program.findJson({ message: "box started" });
      await until("both readers online", async () => {
        const health = await (await fetch(`${api}/healthz`)).json();
        return health.status.readers.every((reader: { online: boolean }) => reader.online);
      });
      return program;
    },
    async events() {
      const { code, stdout, stderr } = await runProgram(["events", "--data", data, "--json"]);
      assert.equal(code, 0, stderr);
      return stdout.trim().split("\n").filter((text) => text !== "").map((text) =>
        JSON.parse(text)
      );
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await pair[Symbol.asyncDispose]();
      await Deno.remove(dir, { recursive: true });
    },
  };
}

/** Waits until something holds; fails after 15 s. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = clock.monotonicMs() + 15_000;
  while (!(await holds())) {
    if (clock.monotonicMs() > endMs) assert.fail(`not within 15 s: ${what}`);
    await clock.sleep(20, new AbortController().signal);
  }
}

/** Puts a policy in force with `gatehouse policy load`. */
export async function load(of: Bench, policy: unknown): Promise<void> {
  const file = join(of.dir, "policy.json");
  await Deno.writeTextFile(file, JSON.stringify(policy));
  const { code, stderr } = await runProgram(["policy", "load", file, "--data", of.data]);
  assert.equal(code, 0, stderr);
}

/** Kinds of events, each with its reason, cause or mode. */
export const kinds = (events: readonly Record<string, unknown>[]): string[] =>
  events.map(({ event }) => {
    const { kind, ...rest } = event as Record<string, unknown> & { kind: string };
    return `${kind} ${rest.reason ?? rest.cause ?? rest.mode ?? ""}`.trim();
  });
