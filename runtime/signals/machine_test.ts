import assert from "node:assert/strict";
import {
  type AlarmChange,
  alarmsOf,
  QUIET,
  type SignalInput,
  type SignalTraits,
  stepSignal,
} from "./machine.ts";

const siren: SignalTraits = { on: ["forced", "emergency", "tailgated"], forMs: undefined };
const raised = (alarm: AlarmChange["alarm"], topic = "d"): SignalInput => ({
  kind: "alarm",
  alarm,
  topic,
  change: "raised",
});
const cleared = (alarm: AlarmChange["alarm"], topic = "d"): SignalInput => ({
  kind: "alarm",
  alarm,
  topic,
  change: "cleared",
});

/** When it began and ended to sound. */
function run(inputs: readonly (readonly [number, SignalInput])[], traits = siren): string[] {
  let state = QUIET;
  let deadline: number | undefined;
  const done: string[] = [];
  const apply = (input: SignalInput, nowMs: number) => {
    const next = stepSignal(traits, state, input, nowMs);
    if (next.state.sounding !== state.sounding) done.push(`${nowMs} ${next.state.sounding}`);
    [state, deadline] = [next.state, next.nextDeadlineMs];
  };
  for (const [atMs, input] of [...inputs, [10_000_000, { kind: "time" }] as const]) {
    while (deadline !== undefined && deadline <= atMs) apply({ kind: "time" }, deadline);
    apply(input, atMs);
  }
  return done;
}

Deno.test("it sounds while any alarm that it follows stands, and for no other", () => {
  assert.deepEqual(
    run([
      [0, raised("held")],
      [1, raised("forced")],
      [2, raised("emergency")],
      [3, cleared("forced")],
      [9, cleared("emergency")],
    ]),
    ["1 true", "9 false"],
  );
});

Deno.test("silenced until the next alarm, or until the same one is raised again", () => {
  const silence: SignalInput = { kind: "silence" };
  assert.deepEqual(
    run([
      [0, raised("forced")],
      [5, silence],
      [9, raised("forced", "e")],
      [12, silence],
      [
        20,
        raised("forced"),
      ],
      [30, cleared("forced")],
      [31, cleared("forced", "e")],
    ]),
    ["0 true", "5 false", "9 true", "12 false", "20 true", "31 false"],
  );
  assert.deepEqual(run([[0, silence], [1, raised("forced")], [2, cleared("forced")]]), [
    "1 true",
    "2 false",
  ], "silence before an alarm is none");
});

Deno.test("at most forMs for each alarm; what has no end of its own ends after 30 s", () => {
  const minute = { ...siren, forMs: 60_000 };
  assert.deepEqual(run([[0, raised("forced")], [40_000, raised("emergency")]], minute), [
    "0 true",
    "100000 false",
  ]);
  const tailgated: SignalInput = { kind: "alarm", alarm: "tailgated", topic: "t", change: "once" };
  assert.deepEqual(run([[0, tailgated]]), ["0 true", "30000 false"]);
});

Deno.test("events that end an alarm are those that name it", () => {
  let state = QUIET;
  const traits: SignalTraits = {
    on: ["forced", "held", "tamper", "power", "release", "emergency", "fault", "offline"],
    forMs: undefined,
  };
  const pairs = [
    [{ kind: "door.forced", door: "d" }, { kind: "door.secured", door: "d" }],
    [{ kind: "door.held", door: "d" }, { kind: "door.secured", door: "d" }],
    [{ kind: "reader.tamper", reader: "r", active: true }, {
      kind: "reader.tamper",
      reader: "r",
      active: false,
    }],
    [{ kind: "reader.power", reader: "r", failed: true }, {
      kind: "reader.power",
      reader: "r",
      failed: false,
    }],
    [{ kind: "release.activated", input: "i" }, { kind: "release.cleared", input: "i" }],
    [{ kind: "emergency.raised", input: "i" }, {
      kind: "emergency.cleared",
      input: "i",
      by: "key",
    }],
    [{ kind: "input.fault", input: "i", fault: "short" }, {
      kind: "input.fault",
      input: "i",
      fault: "none",
    }],
    [{ kind: "reader.offline", reader: "r", reason: "no-reply" }, {
      kind: "reader.online",
      reader: "r",
    }],
    [{ kind: "expander.offline", expander: "e" }, { kind: "expander.online", expander: "e" }],
  ] as const;
  for (const [begin, end] of pairs) {
    for (const [event, sounding] of [[begin, true], [end, false]] as const) {
      const changes = alarmsOf(event);
      assert.ok(changes.length > 0, event.kind);
      for (const change of changes) {
        state = stepSignal(traits, state, { kind: "alarm", ...change }, 0).state;
      }
      assert.equal(state.sounding, sounding, event.kind);
    }
  }
  assert.deepEqual(alarmsOf({ kind: "door.opened", door: "d" }), []);
});
