/**
 * What was tapped, held against what the district has: the demo's own book, kept apart from
 * everything that it checks.
 *
 * @module
 */
import type { EventView } from "../district/api/types.ts";

/** One tap and what the policy says about it. */
export interface ExpectedTap {
  readonly reader: string;
  /** `granted` or the reason of the denial. */
  readonly outcome: string;
  /** Number of the credential, or bits and hex of an unknown card. */
  readonly card: string;
}

/** How taps and events agree. */
export interface TallyResult {
  readonly taps: number;
  readonly grants: number;
  /** Count by reason. */
  readonly denials: Readonly<Record<string, number>>;
  /** Events of every kind at the district. */
  readonly eventsAtDistrict: number;
  /** Taps without an event of their outcome, and sequence numbers that are missing in a lane. */
  readonly lost: number;
  /** Events that are there more than once, and decisions without a tap. */
  readonly duplicated: number;
}

/** The tap that an access event is about, or `undefined` for other events. */
function tapOf({ event }: EventView): string | undefined {
  if (event.kind === "access.granted") return `${event.reader} granted ${event.credential}`;
  if (event.kind !== "access.denied") return undefined;
  const card = event.card === undefined
    ? String(event.credential)
    : `${event.card.bits}:${event.card.hex}`;
  return `${event.reader} ${event.reason} ${card}`;
}

/** Compares `taps` with all events that the district has of the box. */
export function tally(taps: readonly ExpectedTap[], events: readonly EventView[]): TallyResult {
  const open = new Map<string, number>();
  const denials: Record<string, number> = {};
  let grants = 0;
  for (const tap of taps) {
    const key = `${tap.reader} ${tap.outcome} ${tap.card}`;
    open.set(key, (open.get(key) ?? 0) + 1);
    if (tap.outcome === "granted") grants++;
    else denials[tap.outcome] = (denials[tap.outcome] ?? 0) + 1;
  }
  let duplicated = 0;
  const places = new Set<string>();
  const lanes = new Map<string, { highest: number; count: number }>();
  for (const event of events) {
    const lane = `${event.boxId} ${event.epoch} ${event.lane}`;
    const place = `${lane} ${event.seq}`;
    if (places.has(place)) {
      duplicated++;
      continue;
    }
    places.add(place);
    const seen = lanes.get(lane) ?? { highest: 0, count: 0 };
    lanes.set(lane, { highest: Math.max(seen.highest, event.seq), count: seen.count + 1 });
    const key = tapOf(event);
    if (key === undefined) continue;
    const left = open.get(key) ?? 0;
    if (left === 0) duplicated++;
    else open.set(key, left - 1);
  }
  let lost = 0;
  for (const left of open.values()) lost += left;
  for (const { highest, count } of lanes.values()) lost += highest - count;
  return { taps: taps.length, grants, denials, eventsAtDistrict: places.size, lost, duplicated };
}
