/**
 * From the last byte of a card being readable on the line to the lock's output being written, in
 * the real driver, box and journal, beside a bare round trip on the same line.
 *
 * @module
 */
import { osdp } from "../drivers/card-reader/osdp/mod.ts";
import { gpioOutput } from "../drivers/output/gpio/mod.ts";
import type { SerialPort } from "../hal/mod.ts";
import { linuxClock, linuxSerialHost } from "../hal/linux/mod.ts";
import { ABSENT, VirtualGpio } from "../hal/sim/mod.ts";
import { Box, BoxMetrics } from "../runtime/box/mod.ts";
import { openJournal } from "../runtime/journal/mod.ts";
import { parseBoxConfig } from "../runtime/config/mod.ts";
import { jsonLog } from "../runtime/log.ts";
import { compilePolicy } from "../runtime/policy/mod.ts";
import { DistrictOfPeople } from "../demo/people.ts";
import { percentile } from "./percentile.ts";
import type { BenchRow } from "./row.ts";

const CREDENTIALS = 100_000;
const TAPS = 300;
const ECHOES = 1_000;
/** Bytes of a card's frame: 4 bytes of number, 4 of head, 8 around. */
const FRAME_BYTES = 16;

const CONFIG = `
box: { name: east-gate, timezone: Asia/Shanghai }
buses: [{ id: bus, kind: serial, path: /dev/null, baudRate: 115200 }]
readers: [{ id: in, driver: osdp, bus: bus, address: 0, door: main }]
outputs: [{ id: lock, driver: simulated }]
doors: [{ id: main, lock: lock, kind: strike, holdMs: 100 }]
`;

/** The device's process: lines out of it, orders into it. */
class Device implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #orders: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncIterator<string>;

  constructor() {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--no-prompt",
        "--allow-ffi",
        `--config=${new URL("../deno.json", import.meta.url).pathname}`,
        "--frozen",
        "--cached-only",
        new URL("./tap_device.ts", import.meta.url).pathname,
      ],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#orders = this.#process.stdin.getWriter();
    this.#lines = linesOf(this.#process.stdout);
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("the simulated device ended early");
    return value;
  }

  async order(text: string): Promise<void> {
    await this.#orders.write(new TextEncoder().encode(text + "\n"));
  }

  /** The numbers that it says until it is done. */
  async numbers(): Promise<number[]> {
    const numbers: number[] = [];
    for (let line = await this.line(); line !== "done"; line = await this.line()) {
      numbers.push(Number(line));
    }
    return numbers;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#orders.close();
    await this.#process.status;
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

/** Tap to relay and the bare round trip, median and 99th percentile, in ms. */
export async function benchTap(): Promise<BenchRow[]> {
  const { ours, bare } = await measureTaps();
  return [50, 99].map((p) => {
    const [value, baselineValue] = [percentile(ours, p), percentile(bare, p)];
    return {
      bench: "tap",
      metric: `last byte readable to relay written, p${p}, ${CREDENTIALS} credentials`,
      value,
      unit: "ms",
      baseline: `bare round trip of ${FRAME_BYTES} bytes on the same pty, p${p}`,
      baselineValue,
      ratio: value / baselineValue,
    };
  });
}

/** Each tap's time from the last byte of the card's reply to the relay, and each bare round trip's, in ms. */
export async function measureTaps(): Promise<
  { readonly ours: readonly number[]; readonly bare: readonly number[] }
> {
  const clock = linuxClock();
  const stop = new AbortController();
  const dataDir = await Deno.makeTempDir({ prefix: "gatehouse-bench-" });
  try {
    await using device = new Device();
    const path = (await device.line()).slice("path ".length);
    const host = linuxSerialHost(clock);
    const settings = { path, baudRate: 115_200 };

    const bare = await bareRoundTrips(device, await host.open(settings, stop.signal), stop.signal);

    const config = parseBoxConfig(CONFIG, "bench", [osdp, gpioOutput]);
    const log = jsonLog(clock, (line) => console.error(line), "warn");
    await using journal = await openJournal({ dataDir, clock });
    await using bus = await osdp.open(
      { clock, log: () => {}, openPort: (signal) => host.open(settings, signal) },
      [osdp.parseOptions({ address: 0 })],
      stop.signal,
    );
    await using lock = await gpioOutput.open(
      { clock, log: () => {}, ...ABSENT, gpio: new VirtualGpio(clock) },
      config.outputs[0]!.on === "reader" ? undefined as never : config.outputs[0]!.options as never,
      stop.signal,
    );
    const devices = {
      readers: new Map([["in", bus.readers[0]!]]),
      outputs: new Map([["lock", lock]]),
      inputs: new Map(),
      sensors: new Map(),
      batons: new Map(),
      expanders: new Map(),
    };
    const modes = { of: () => "normal" as const, set: () => {} };
    const latches = { has: () => false, set: () => {} };
    const metrics = new BoxMetrics();
    const batons = { store: () => Promise.resolve() };
    using box = new Box(config, devices, { clock, journal, log, metrics, modes, batons, latches });
    const people = new DistrictOfPeople(CREDENTIALS, 7);
    const policy = people.policy();
    // Any hour will do: what is measured must not depend on when.
    policy.accessLevels[0]!.grants[0]!.schedule = "always";
    box.setPolicy(compilePolicy(policy, 1));
    const drivenMs: number[] = [];
    lock.onDriven((active, atMs) => {
      if (active) drivenMs.push(atMs);
    });
    await device.order(`tap ${TAPS} ${CREDENTIALS}`);
    const readableMs = await device.numbers();
    // The last relay may still be on its way.
    await clock.sleep(500, stop.signal);
    if (drivenMs.length !== TAPS || readableMs.length !== TAPS) {
      throw new Error(`${TAPS} taps, ${readableMs.length} sent, ${drivenMs.length} relays driven`);
    }
    const ours = drivenMs.map((atMs, index) => atMs - readableMs[index]!);
    return { ours, bare };
  } finally {
    stop.abort();
    await Deno.remove(dataDir, { recursive: true });
  }
}

/** Sends back what comes, and gives the device's times. */
async function bareRoundTrips(
  device: Device,
  opened: SerialPort,
  signal: AbortSignal,
): Promise<number[]> {
  await using port = opened;
  await device.order(`echo ${ECHOES} ${FRAME_BYTES}`);
  const echoing = (async () => {
    for (let left = ECHOES * FRAME_BYTES; left > 0;) {
      const { bytes } = await port.read(signal);
      left -= bytes.length;
      await port.write(bytes, signal);
    }
  })();
  const times = await device.numbers();
  await echoing;
  return times;
}
