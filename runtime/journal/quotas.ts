import { type Lane, LANES } from "../../sync/wire/mod.ts";

/** What a lane may hold, and what gives way when it is full. */
export interface LaneQuota {
  /** Events kept, synced ones included: they are what `gatehouse events` shows. */
  readonly eventsMax: number;
  /** Whether its oldest events may go before the district has them. The loss is itself an event. */
  readonly dropUnsynced: boolean;
}

/**
 * Default quotas. An event takes some 150 bytes on disk, so all lanes full are about 200 MB, which
 * the smallest card that we flash has ten times over.
 */
export const QUOTAS: Readonly<Record<Lane, LaneQuota>> = {
  /** Years of alarms. */
  alarm: { eventsMax: 100_000, dropUnsynced: false },
  /** A hundred commands a day for more than a year. */
  command: { eventsMax: 50_000, dropUnsynced: false },
  /** Ten weeks of a gate with 3,000 people, four events a passage. */
  access: { eventsMax: 1_000_000, dropUnsynced: false },
  /** What nobody decides by: it gives way first, and first of all. */
  telemetry: { eventsMax: 100_000, dropUnsynced: true },
};

/** Rows removed in one commit: bounds how long a commit can take. */
export const PRUNE_ROWS_MAX = 2_000;

/** A lane's number in the store and on the wire. */
export function laneNumber(lane: Lane): number {
  return LANES.indexOf(lane);
}
