import assert from "node:assert/strict";
import type { EventView } from "../api/mod.ts";
import {
  EMPTY_FEED,
  type Feed,
  released,
  ROWS_MAX,
  withEvent,
  withNewest,
  withOlder,
} from "./feed.ts";

function event(id: number): EventView {
  return {
    id,
    boxId: "b1",
    boxName: "east-gate",
    epoch: 1,
    lane: "access",
    seq: id,
    wallMs: id,
    monotonicMs: id,
    boot: 1,
    clock: "synchronised",
    receivedMs: id,
    event: { kind: "door.opened", door: "main" },
  };
}
const ids = (feed: Feed) => feed.items?.map(({ id }) => id);
const page = (...of: number[]) => of.map(event);

Deno.test("a new event goes on top, and only once", () => {
  const feed = withEvent(withNewest(EMPTY_FEED, page(2, 1), 2), event(3), false);
  assert.deepEqual(ids(withEvent(feed, event(3), false)), [3, 2, 1]);
});

Deno.test("while held, new events wait, and none is lost", () => {
  let feed = withNewest(EMPTY_FEED, page(1), 2);
  feed = withEvent(withEvent(feed, event(2), true), event(3), true);
  assert.deepEqual(ids(feed), [1]);
  assert.deepEqual(feed.pending.map(({ id }) => id), [3, 2]);
  assert.deepEqual(ids(released(feed)), [3, 2, 1]);
});

Deno.test("after a reconnect the missed page is merged when it joins, else it replaces the list", () => {
  const before = withNewest(EMPTY_FEED, page(3, 2), 2);
  assert.deepEqual(ids(withNewest(before, page(4, 3), 2)), [4, 3, 2]);
  assert.deepEqual(ids(withNewest(before, page(9, 8), 2)), [9, 8]);
});

Deno.test("older pages go below, and the last one says so", () => {
  const feed = withNewest(EMPTY_FEED, page(4, 3), 2);
  assert.equal(feed.complete, false);
  const older = withOlder(feed, page(2), 2);
  assert.deepEqual(ids(older), [4, 3, 2]);
  assert.equal(older.complete, true);
});

Deno.test("a list that runs for days stays bounded, and can still page back", () => {
  let feed = withNewest(EMPTY_FEED, page(1), 2);
  for (let id = 2; id <= ROWS_MAX + 5; id++) feed = withEvent(feed, event(id), false);
  assert.equal(feed.items?.length, ROWS_MAX);
  assert.equal(feed.items?.[0]?.id, ROWS_MAX + 5);
  assert.equal(feed.complete, false);
});
