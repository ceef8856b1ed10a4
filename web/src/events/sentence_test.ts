import assert from "node:assert/strict";
import type { EventView } from "../api/mod.ts";
import { MESSAGES, textOf } from "../i18n/mod.ts";
import { sentenceOf, toneOf } from "./sentence.ts";

function view(event: EventView["event"], more: Partial<EventView> = {}): EventView {
  return {
    id: 1,
    boxId: "b1",
    boxName: "east-gate",
    epoch: 1,
    lane: "access",
    seq: 1,
    wallMs: 0,
    monotonicMs: 0,
    boot: 1,
    clock: "synchronised",
    receivedMs: 0,
    event,
    ...more,
  };
}

const GRANTED = {
  kind: "access.granted",
  door: "main",
  reader: "in",
  credential: 1,
  cardholder: 7,
} as const;

Deno.test("a granted card is told with the cardholder's name, or the number without one", () => {
  const named = view(GRANTED, { cardholderName: "李华" });
  assert.equal(textOf(sentenceOf(named, MESSAGES["zh-CN"])), "李华 通过 main");
  assert.equal(textOf(sentenceOf(named, MESSAGES.en)), "李华 passed main");
  assert.equal(textOf(sentenceOf(view(GRANTED), MESSAGES.en)), "cardholder 7 passed main");
});

Deno.test("a refusal says why; an unknown card has nobody to name", () => {
  const base = { kind: "access.denied", door: "main", reader: "in" } as const;
  const unknown = view({ ...base, reason: "unknown-card", card: { bits: 32, hex: "04a1b2c3" } });
  assert.equal(textOf(sentenceOf(unknown, MESSAGES.en)), "Refused at main: unknown card");
  const late = view({ ...base, reason: "outside-schedule", cardholder: 7 }, {
    cardholderName: "Li Hua",
  });
  assert.equal(
    textOf(sentenceOf(late, MESSAGES.en)),
    "Li Hua refused at main: outside permitted hours",
  );
});

Deno.test("names stand out, the words around them do not", () => {
  const strong = sentenceOf(view(GRANTED, { cardholderName: "Li Hua" }), MESSAGES.en)
    .filter((part) => part.strong).map((part) => part.text);
  assert.deepEqual(strong, ["Li Hua", "main"]);
});

Deno.test("the end of an alarm is not shown as one", () => {
  const lane = "alarm";
  assert.equal(toneOf(view({ kind: "door.forced", door: "main" }, { lane })), "alarm");
  assert.equal(toneOf(view({ kind: "door.secured", door: "main" }, { lane })), "calm");
  assert.equal(
    toneOf(view({ kind: "reader.tamper", reader: "in", active: true }, { lane })),
    "alarm",
  );
  assert.equal(
    toneOf(view({ kind: "reader.tamper", reader: "in", active: false }, { lane })),
    "calm",
  );
});
