/**
 * `gatehouse demo`: a district, a gate and a morning rush, all real but the hardware.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { linuxClock } from "../hal/linux/mod.ts";
import { rush, type Tap } from "./rush.ts";
import { School } from "./school.ts";
import { metric, openSite, type Site } from "./site.ts";
import { tally } from "./tally.ts";

const HELP = `
gatehouse demo [--seconds N] [--json]

Starts a district and a gate box with two OSDP readers (simulated, on a real serial line), a
turnstile and a door with a magnet, and lets students arrive as in a morning rush. Prints the
console's address and login. Everything is kept in a temporary folder and removed at the end.

  --seconds N   ends after N seconds of rush and prints a summary: what was tapped against what the
                district has; without it the rush goes on until Ctrl-C
  --json        the summary as one JSON object, nothing else on standard output

Exit codes: 0 nothing lost and nothing double, 1 otherwise, 2 bad usage.
`;

const STUDENTS = 600;
/** After the rush the box must have handed over its last events within this time. */
const DRAIN_MS_MAX = 20_000;

interface Options {
  readonly seconds: number | undefined;
  readonly json: boolean;
}

function readOptions(args: string[]): Options | string {
  try {
    const { values } = parseArgs({
      args,
      options: { seconds: { type: "string" }, json: { type: "boolean", default: false } },
    });
    const seconds = values.seconds === undefined ? undefined : Number(values.seconds);
    if (seconds !== undefined && !(seconds > 0 && seconds <= 86_400)) {
      return "--seconds: expected a number of seconds up to 86400";
    }
    return { seconds, json: values.json };
  } catch (error) {
    return (error as Error).message;
  }
}

/** Runs the demo; returns its exit code. */
async function demo({ seconds, json }: Options, stop: AbortSignal): Promise<number> {
  const clock = linuxClock();
  const say = (line: string) => (json ? console.error : console.log)(line);
  const dir = await Deno.makeTempDir({ prefix: "gatehouse-demo-" });
  try {
    const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
    say(`seed ${seed}`);
    const school = new School(STUDENTS, seed);
    await using site = await openSite(dir, school, clock, say);
    const ids = await site.operator.credentialIds();
    say(`\nThe console is at ${site.consoleUrl}`);
    say(`Log in as ${site.login.username} with the password ${site.login.password}`);
    say("(its certificate is the demo's own: the browser will ask)\n");

    const taps: Tap[] = [];
    const onTap = (tap: Tap) => {
      taps.push(tap);
      if (taps.length % 100 === 0) say(`${taps.length} taps`);
    };
    const timeUp = new AbortController();
    if (seconds !== undefined) clock.schedule(seconds * 1_000, () => timeUp.abort());
    const over = AbortSignal.any([stop, timeUp.signal]);
    await Promise.all([
      rush(school, { id: "turnstile-in", reader: site.readers.reader(0) }, clock, onTap, over),
      rush(
        school,
        { id: "gate-in", reader: site.readers.reader(1), contact: 0 },
        clock,
        onTap,
        over,
      ),
    ]);
    const summary = await summarise(site, taps, ids, clock);
    if (json) console.log(JSON.stringify(summary));
    else say(`\n${JSON.stringify(summary, null, 2)}`);
    return summary.lost === 0 && summary.duplicated === 0 && summary.wrongLight === 0 ? 0 : 1;
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Waits for the last event, then holds the district's record against the taps. */
async function summarise(
  site: Site,
  taps: readonly Tap[],
  ids: ReadonlyMap<string, number>,
  clock: ReturnType<typeof linuxClock>,
) {
  const never = new AbortController().signal;
  // Doors close and lock after the last tap; then the box has nothing more to say.
  await clock.sleep(3_500, never);
  const endMs = clock.monotonicMs() + DRAIN_MS_MAX;
  while (await metric(site.boxApi, "gatehouse_backlog_events") > 0 && clock.monotonicMs() < endMs) {
    await clock.sleep(50, never);
  }
  const events = await site.operator.events();
  const quantile = async (q: number) => {
    const name = `gatehouse_tap_to_relay_seconds{quantile="${q}"}`;
    return Math.round(await metric(site.boxApi, name) * 1e6) / 1e3;
  };
  const expected = taps.map(({ queue, arrival }) => ({
    reader: queue,
    outcome: arrival.outcome,
    card: arrival.outcome === "unknown-card" ? `32:${arrival.hex}` : String(ids.get(arrival.hex)),
  }));
  return {
    ...tally(expected, events),
    /** Taps whose light did not say what the policy says. */
    wrongLight:
      taps.filter((tap) => tap.light !== (tap.arrival.outcome === "granted" ? "green" : "red"))
        .length,
    backlog: await metric(site.boxApi, "gatehouse_backlog_events"),
    tapToRelayMs: {
      p50: await quantile(0.5),
      p90: await quantile(0.9),
      p99: await quantile(0.99),
      max: await quantile(1),
    },
    boxMemoryMb: Math.round(await metric(site.boxApi, "gatehouse_resident_memory_bytes") / 2 ** 20),
  };
}

async function main(): Promise<number> {
  if (Deno.args.includes("--help") || Deno.args.includes("-h")) {
    console.log(HELP.trim());
    return 0;
  }
  const options = readOptions(Deno.args);
  if (typeof options === "string") {
    console.error(`gatehouse demo: ${options}; see gatehouse demo --help`);
    return 2;
  }
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(name, () => stop.abort(new Error(`${name} received`)));
  }
  return await demo(options, stop.signal);
}

if (import.meta.main) Deno.exit(await main());
