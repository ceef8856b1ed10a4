import assert from "node:assert/strict";
import type { EventView } from "../district/api/types.ts";
import type { BoxEvent } from "../sync/wire/mod.ts";
import { type ExpectedTap, tally } from "./tally.ts";

function view(seq: number, event: BoxEvent): EventView {
  return {
    id: seq,
    boxId: "bx-1",
    boxName: "east-gate",
    epoch: 1,
    lane: "access",
    seq,
    receivedMs: 0,
    wallMs: 0,
    monotonicMs: 0,
    boot: 1,
    clock: "synchronised",
    event,
  };
}
const granted = (credential: number): BoxEvent => ({
  kind: "access.granted",
  door: "gate",
  reader: "in",
  credential,
  cardholder: credential,
});
const unknown: BoxEvent = {
  kind: "access.denied",
  door: "gate",
  reader: "in",
  reason: "unknown-card",
  card: { bits: 32, hex: "00000001" },
};
const taps: ExpectedTap[] = [
  { reader: "in", outcome: "granted", card: "7" },
  { reader: "in", outcome: "granted", card: "7" },
  { reader: "in", outcome: "unknown-card", card: "32:00000001" },
];

Deno.test("taps and events that agree", () => {
  const events = [view(1, granted(7)), view(2, granted(7)), view(3, unknown)];
  assert.deepEqual(tally(taps, events), {
    taps: 3,
    grants: 2,
    denials: { "unknown-card": 1 },
    eventsAtDistrict: 3,
    lost: 0,
    duplicated: 0,
  });
});

Deno.test("a lost tap, a gap in a lane, a double and a decision without a tap all show", () => {
  assert.equal(tally(taps, [view(1, granted(7)), view(2, unknown)]).lost, 1);
  assert.equal(tally(taps, [view(1, granted(7)), view(2, granted(7)), view(4, unknown)]).lost, 1);
  const twice = [view(1, granted(7)), view(1, granted(7)), view(2, granted(7)), view(3, unknown)];
  assert.equal(tally(taps, twice).duplicated, 1);
  const again = [view(1, granted(7)), view(2, granted(7)), view(3, unknown), view(4, granted(7))];
  assert.equal(tally(taps, again).duplicated, 1);
  assert.equal(tally(taps, [view(1, granted(8)), view(2, granted(7)), view(3, unknown)]).lost, 1);
});
