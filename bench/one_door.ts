import { gpioOutput } from "../drivers/output/gpio/mod.ts";
import { wiegand } from "../drivers/card-reader/wiegand/mod.ts";
import type { CardReader } from "../drivers/contract.ts";
import type { Clock } from "../hal/mod.ts";
import { ABSENT, type VirtualGpio } from "../hal/sim/mod.ts";
import { Box, BoxMetrics } from "../runtime/box/mod.ts";
import { parseBoxConfig } from "../runtime/config/mod.ts";
import { openJournal } from "../runtime/journal/mod.ts";
import { jsonLog } from "../runtime/log.ts";
import { compilePolicy } from "../runtime/policy/mod.ts";
import { parsePolicy } from "../sync/wire/mod.ts";

/** The simulated chip of a benchmark. */
export const BENCH_CHIP = "bench";
/** The line on it that is the lock. */
export const LOCK_LINE = 17;

/** The reader's driver is the caller's; this one only makes the file whole. */
const CONFIG = `
box: { name: bench, timezone: Asia/Shanghai }
readers: [{ id: in, driver: wiegand, door: main, chip: ${BENCH_CHIP}, data0: 1, data1: 2 }]
outputs: [{ id: lock, driver: gpio, chip: ${BENCH_CHIP}, line: ${LOCK_LINE} }]
doors: [{ id: main, lock: lock, kind: strike, holdMs: 100 }]
`;

/** A box with one door that opens for one card. */
export interface OneDoor extends AsyncDisposable {
  /** @throws Error when an event could not be stored meanwhile. */
  check(): void;
}

/** Puts `reader` at the door of a real box with a real journal; the lock is a line of `gpio`. */
export async function oneDoor(
  reader: CardReader,
  gpio: VirtualGpio,
  clock: Clock,
  card: { readonly bits: number; readonly value: bigint },
): Promise<OneDoor> {
  await using stack = new AsyncDisposableStack();
  const dataDir = await Deno.makeTempDir({ prefix: "gatehouse-bench-" });
  stack.defer(() => Deno.remove(dataDir, { recursive: true }));
  const config = parseBoxConfig(CONFIG, "bench", [wiegand, gpioOutput]);
  const log = jsonLog(clock, (line) => console.error(line), "warn");
  const journal = stack.use(await openJournal({ dataDir, clock }));
  const lock = stack.use(
    await gpioOutput.open(
      { ...ABSENT, clock, log: () => {}, gpio },
      gpioOutput.parseOptions({ chip: BENCH_CHIP, line: LOCK_LINE }),
      new AbortController().signal,
    ),
  );
  const metrics = new BoxMetrics();
  const box = stack.use(
    new Box(config, {
      readers: new Map([["in", reader]]),
      outputs: new Map([["lock", lock]]),
      inputs: new Map(),
      sensors: new Map(),
      batons: new Map(),
      expanders: new Map(),
    }, {
      clock,
      journal,
      log,
      metrics,
      modes: { of: () => "normal", set: () => {} },
      latches: { has: () => false, set: () => {} },
      batons: { store: () => Promise.resolve() },
    }),
  );
  const { bits, value } = card;
  box.setPolicy(compilePolicy(
    parsePolicy({
      schema: 1,
      holidays: [],
      schedules: [],
      accessLevels: [{ id: "all", name: "all", grants: [{ doors: ["main"], schedule: "always" }] }],
      cardholders: [{ id: 1, name: "one", accessLevels: ["all"] }],
      credentials: [{
        id: 1,
        cardholder: 1,
        bits,
        hex: value.toString(16).padStart(2 * Math.ceil(bits / 8), "0"),
      }],
    }),
    1,
  ));
  const owned = stack.move();
  return {
    check: () => {
      if (metrics.lastAppendFailed) throw new Error("the journal could not be written");
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
