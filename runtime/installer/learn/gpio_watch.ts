/**
 * Watches GPIO lines that nobody has described: bursts of short pulses on two of them are a Wiegand
 * reader, a level that stays is a contact or a button.
 *
 * @module
 */
import {
  type Cancel,
  type Clock,
  type GpioHost,
  type GpioLine,
  HalError,
} from "../../../hal/mod.ts";
import { text } from "../language.ts";
import type { ReaderPlace, Sighting } from "./sighting.ts";

/** One pulse of a Wiegand reader: 0 came on D0, 1 on D1. */
export interface Pulse {
  readonly bit: 0 | 1;
  readonly atMs: number;
}

/** What a driver makes of pulses: a card, the two lines exchanged, or nothing. */
export type PulseReader = (
  pulses: readonly Pulse[],
) => { readonly bits: number; readonly data: Uint8Array } | "swapped" | undefined;

/** What lines are learned with. */
export interface GpioWatchHost {
  readonly clock: Clock;
  readonly gpio: GpioHost;
  readonly readPulses: PulseReader;
}

/** A burst has ended after this silence; contacts bounce for less, Wiegand bits come 2 ms apart. */
const SETTLED_MS = 150;
/** A finger stays for longer than this on a button; a spark or a lone pulse does not. */
const PRESS_MS_MIN = 20;
/** The longest frame that readers send, twice. */
const EDGES_MAX = 1_024;
/** Fewer are a key or a bounce. */
const PULSES_MIN = 16;

interface Seen {
  readonly line: number;
  readonly active: boolean;
  readonly atMs: number;
}

/** Takes `lines` of `chip` as inputs with pull-up and watches them until `signal` aborts. */
export async function watchGpioLines(
  chip: string,
  lines: readonly number[],
  host: GpioWatchHost,
  tell: (sighting: Sighting) => void,
  signal: AbortSignal,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const taken: { readonly number: number; readonly line: GpioLine }[] = [];
  const held: number[] = [];
  for (const number of lines) {
    try {
      const settings = { chip, line: number, direction: "input", bias: "pull-up" } as const;
      taken.push({ number, line: stack.use(await host.gpio.request(settings, signal)) });
    } catch (error) {
      if (!(error instanceof HalError)) throw error;
      if (error.kind !== "busy") {
        tell({ kind: "note", note: text(error.message, error.message) });
        // Nothing of this chip can be had: one word about it is enough.
        if (error.kind !== "not-found" || taken.length === 0) return;
        break;
      }
      held.push(number);
    }
  }
  if (held.length > 0) {
    const list = held.join(", ");
    tell({
      kind: "note",
      note: text(
        `${chip} 的线 ${list} 已被占用，不监视`,
        `lines ${list} of ${chip} are in use and not watched`,
      ),
    });
  }
  const rest = new Map(taken.map(({ number, line }) => [number, line.read()]));
  const away = new Set<number>();
  let seen: Seen[] = [];
  let settled: Cancel = () => {};
  const judge = () => {
    const burst = seen;
    seen = [];
    const card = wiegand(chip, burst, host.readPulses);
    if (card !== undefined) return tell(card);
    for (const number of new Set(burst.map((one) => one.line))) {
      const edges = burst.filter((one) => one.line === number);
      const resting = rest.get(number)!;
      const moved = edges.at(-1)!.active !== resting;
      if (moved || pressedMs(edges, resting) >= PRESS_MS_MIN) {
        // With a pull-up a closed contact is low: what it moved to is what happened.
        const place = { on: "gpio", chip, line: number, activeLow: resting } as const;
        if (!away.has(number)) tell({ kind: "input", place, active: true });
      }
      if (moved) away.add(number);
      else away.delete(number);
    }
  };
  try {
    await Promise.all(taken.map(async ({ number, line }) => {
      for await (const edge of line.edges(signal)) {
        if (seen.length < EDGES_MAX) {
          seen.push({ line: number, active: edge.active, atMs: edge.atMonotonicMs });
        }
        settled();
        settled = host.clock.schedule(SETTLED_MS, judge);
      }
    }));
  } catch (error) {
    if (!(error instanceof HalError)) throw error;
    tell({ kind: "note", note: text(error.message, error.message) });
  } finally {
    settled();
  }
}

/** How long a line was away from rest at a stretch, at most. */
function pressedMs(edges: readonly Seen[], resting: boolean): number {
  let longestMs = 0;
  for (const [index, edge] of edges.entries()) {
    const next = edges[index + 1];
    if (edge.active !== resting && next !== undefined) {
      longestMs = Math.max(longestMs, next.atMs - edge.atMs);
    }
  }
  return longestMs;
}

/** A card, if the burst is pulses on two lines that a driver understands. */
function wiegand(
  chip: string,
  burst: readonly Seen[],
  readPulses: PulseReader,
): Sighting | undefined {
  // Readers pull a line low for each bit.
  const falls = burst.filter((one) => !one.active);
  const numbers = [...new Set(falls.map((one) => one.line))].sort((a, b) => a - b);
  const [low, high] = numbers;
  if (numbers.length !== 2 || falls.length < PULSES_MIN) return undefined;
  const pulses = (data0: number) =>
    falls.toSorted((a, b) => a.atMs - b.atMs).map(({ line, atMs }): Pulse => ({
      bit: line === data0 ? 0 : 1,
      atMs,
    }));
  const place = (data0: number, data1: number): ReaderPlace => ({
    on: "own",
    driver: "wiegand",
    options: { chip, data0, data1 },
  });
  const read = readPulses(pulses(low!));
  if (read !== undefined && read !== "swapped") {
    return { kind: "card", places: [place(low!, high!)], ...read };
  }
  const other = readPulses(pulses(high!));
  if (other === undefined || other === "swapped") return undefined;
  return { kind: "card", places: [place(high!, low!)], ...other };
}
