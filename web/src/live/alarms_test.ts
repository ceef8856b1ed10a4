import assert from "node:assert/strict";
import type { BoxView, EventView } from "../api/mod.ts";
import { MESSAGES } from "../i18n/mod.ts";
import { activeAlarms } from "./alarms.ts";

function box(doorAlarm?: "forced" | "held", readerOnline = true): BoxView {
  return {
    id: "b1",
    name: "east-gate",
    online: true,
    enrolledMs: 0,
    policyVersionWanted: 1,
    status: {
      version: "0.1.0",
      policyVersion: 1,
      doors: [{
        id: "main",
        mode: "normal",
        unlocked: false,
        ...(doorAlarm === undefined ? {} : { alarm: doorAlarm }),
      }],
      readers: [{ id: "in", door: "main", online: readerOnline }],
      backlogEvents: 0,
      rssBytes: 0,
      uptimeMs: 0,
    },
  };
}

function alarm(id: number, event: EventView["event"]): EventView {
  return {
    id,
    boxId: "b1",
    boxName: "east-gate",
    epoch: 1,
    lane: "alarm",
    seq: id,
    wallMs: id * 1000,
    monotonicMs: 0,
    boot: 1,
    clock: "synchronised",
    receivedMs: 0,
    event,
  };
}

const keys = (boxes: BoxView[], events: EventView[]) =>
  activeAlarms(boxes, events, MESSAGES.en).map(({ key }) => key);

Deno.test("a door's alarm stands as long as the box says so, since its event", () => {
  const events = [alarm(1, { kind: "door.forced", door: "main" })];
  const [found] = activeAlarms([box("forced")], events, MESSAGES.en);
  assert.equal(found?.key, "b1/door/main/forced");
  assert.equal(found?.sinceMs, 1000);
  assert.deepEqual(keys([box()], events), []);
});

Deno.test("tamper and release stand until the last word says otherwise", () => {
  const tamper = alarm(1, { kind: "reader.tamper", reader: "in", active: true });
  const release = alarm(2, { kind: "release.activated", input: "fire" });
  assert.deepEqual(keys([box()], [release, tamper]), ["b1/release/fire", "b1/tamper/in"]);
  const over = alarm(3, { kind: "release.cleared", input: "fire" });
  assert.deepEqual(keys([box()], [over, release, tamper]), ["b1/tamper/in"]);
});

Deno.test("a reader that does not answer counts only while its box is online, and after what is severe", () => {
  assert.deepEqual(keys([box("held", false)], []), ["b1/door/main/held", "b1/reader/in"]);
  assert.deepEqual(keys([{ ...box(undefined, false), online: false }], []), []);
});

Deno.test("an emergency is severe, and stands until it is reset", () => {
  const raised = alarm(5, { kind: "emergency.raised", input: "panic" });
  const active = activeAlarms([box()], [raised], MESSAGES.en);
  assert.deepEqual(active.map(({ key, severe }) => [key, severe]), [["b1/emergency/panic", true]]);
  const reset = alarm(9, { kind: "emergency.cleared", input: "panic", by: "key" });
  assert.deepEqual(activeAlarms([box()], [reset, raised], MESSAGES.en), []);
});
