import type { EventView, Lane } from "../api/mod.ts";

/** Which events are wanted; the district filters these. */
export interface FeedFilter {
  readonly box?: string | undefined;
  readonly lane?: Lane | undefined;
}

/** A list of events and what waits above it. */
export interface Feed {
  /** Newest first. `undefined` until the first page came. */
  readonly items: readonly EventView[] | undefined;
  /** Arrived while the list was held still, newest first. */
  readonly pending: readonly EventView[];
  /** Nothing older is at the district. */
  readonly complete: boolean;
}

/** Rows on the page: more slow the browser down, and nobody reads them. */
export const ROWS_MAX = 1_000;
/** A list without anything. */
export const EMPTY_FEED: Feed = { items: undefined, pending: [], complete: false };

/** Whether `event` belongs in the list. */
export function fits(event: EventView, filter: FeedFilter): boolean {
  return (filter.box === undefined || filter.box === event.boxId) &&
    (filter.lane === undefined || filter.lane === event.lane);
}

/** The list with a new event: on top, or waiting while `held`. */
export function withEvent(feed: Feed, event: EventView, held: boolean): Feed {
  const items = feed.items ?? [];
  if (items.some(({ id }) => id === event.id) || feed.pending.some(({ id }) => id === event.id)) {
    return feed;
  }
  if (held) return { ...feed, pending: merge([event], feed.pending).slice(0, ROWS_MAX) };
  return cut({ ...feed, items: merge([event], items) });
}

/** The list with everything that waited. */
export function released(feed: Feed): Feed {
  if (feed.pending.length === 0) return feed;
  return cut({ ...feed, items: merge(feed.pending, feed.items ?? []), pending: [] });
}

/**
 * The list after the newest page was loaded (again). If it does not join what is there, events in
 * between are missing: then the page replaces the list.
 */
export function withNewest(feed: Feed, page: readonly EventView[], limit: number): Feed {
  const known = merge(feed.pending, feed.items ?? []);
  const oldest = page.at(-1)?.id ?? 0;
  const joins = page.length < limit || known.some(({ id }) => id >= oldest);
  if (!joins || known.length === 0) {
    return { items: page, pending: [], complete: page.length < limit };
  }
  return cut({
    ...feed,
    items: merge(page, known),
    pending: [],
    complete: feed.complete || page.length < limit,
  });
}

/** The list with the page of older ones below it. */
export function withOlder(feed: Feed, page: readonly EventView[], limit: number): Feed {
  return { ...feed, items: merge(feed.items ?? [], page), complete: page.length < limit };
}

function merge(a: readonly EventView[], b: readonly EventView[]): EventView[] {
  const byId = new Map([...b, ...a].map((event) => [event.id, event]));
  return [...byId.values()].sort((x, y) => y.id - x.id);
}

/** Forgets the oldest rows; "older" fetches them again. */
function cut(feed: Feed): Feed {
  const items = feed.items ?? [];
  return items.length <= ROWS_MAX
    ? feed
    : { ...feed, items: items.slice(0, ROWS_MAX), complete: false };
}
