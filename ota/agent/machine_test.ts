import assert from "node:assert/strict";
import {
  FETCH_ATTEMPTS_MAX,
  resume,
  STAGE_ATTEMPTS_MAX,
  stepUpdate,
  type UpdateEvent,
  type UpdateState,
  type Wanted,
} from "./machine.ts";

const wanted: Wanted = { version: "0.2.0", path: "app/0.2.0/a", sha256: "aa", action: "7" };
const other: Wanted = { version: "0.3.0", path: "app/0.3.0/a", sha256: "bb", action: "8" };
const states = {
  idle: { at: "idle" },
  fetching: { at: "fetching", wanted, attempts: 1 },
  staging: { at: "staging", wanted, attempts: 1 },
  waiting: { at: "waiting", wanted },
  switching: { at: "switching", wanted },
  trial: { at: "trial", wanted },
  confirming: { at: "confirming", wanted },
  reverting: { at: "reverting", wanted, reason: "unhealthy", detail: "no reader answers" },
} as const satisfies Record<UpdateState["at"], UpdateState>;
const events = {
  assigned: { kind: "assigned", wanted },
  another: { kind: "assigned", wanted: other },
  withdrawn: { kind: "assigned", wanted: undefined },
  fetched: { kind: "fetched" },
  staged: { kind: "staged" },
  fault: { kind: "fault", reason: "unreachable", detail: "no route", final: false },
  final: { kind: "fault", reason: "spoilt", detail: "wrong hash", final: true },
  clear: { kind: "clear" },
  bootedNew: { kind: "booted", sha256: "aa", gaveUpOn: undefined },
  bootedOld: { kind: "booted", sha256: "00", gaveUpOn: undefined },
  gaveUp: { kind: "booted", sha256: "00", gaveUpOn: "aa" },
  healthy: { kind: "healthy" },
  confirmed: { kind: "confirmed" },
  unhealthy: { kind: "unhealthy", detail: "no reader answers" },
} as const satisfies Record<string, UpdateEvent>;

/**
 * What each event makes of each state: the next state, then the steps. `·` means that nothing
 * changes and nothing is done.
 */
const TABLE = `
event     | idle            | fetching              | staging               | waiting               | switching         | trial             | confirming        | reverting
assigned  | fetching fetch  | ·                     | ·                     | ·                     | ·                 | ·                 | ·                 | ·
another   | fetching fetch  | fetching clean,report,fetch | fetching clean,report,fetch | fetching clean,report,fetch | ·     | ·                 | ·                 | ·
withdrawn | ·               | idle clean,report     | idle clean,report     | idle clean,report     | ·                 | ·                 | ·                 | ·
fetched   | ·               | staging stage         | ·                     | ·                     | ·                 | ·                 | ·                 | ·
staged    | ·               | ·                     | waiting await-clear   | ·                     | ·                 | ·                 | ·                 | ·
fault     | ·               | fetching fetch        | staging stage         | ·                     | idle clean,report | ·                 | ·                 | ·
final     | ·               | idle clean,report     | idle clean,report     | ·                     | idle clean,report | ·                 | ·                 | ·
clear     | ·               | ·                     | ·                     | switching switch      | ·                 | ·                 | ·                 | ·
bootedNew | ·               | fetching fetch        | staging stage         | waiting await-clear   | trial watch-health | trial watch-health | confirming confirm | reverting revert
bootedOld | ·               | fetching fetch        | staging stage         | waiting await-clear   | switching switch  | idle clean,report | idle clean,report | idle clean,report
gaveUp    | ·               | fetching fetch        | staging stage         | waiting await-clear   | idle clean,report | idle clean,report | idle clean,report | idle clean,report
healthy   | ·               | ·                     | ·                     | ·                     | ·                 | confirming confirm | ·                | ·
confirmed | ·               | ·                     | ·                     | ·                     | ·                 | ·                 | idle report       | ·
unhealthy | ·               | ·                     | ·                     | ·                     | ·                 | reverting revert  | ·                 | ·
`;

const [head, ...rows] = TABLE.trim().split("\n").map((line) =>
  line.split("|").map((cell) => cell.trim())
);

Deno.test("the table names every state and every event", () => {
  assert.deepEqual(head!.slice(1).toSorted(), Object.keys(states).toSorted());
  assert.deepEqual(rows.map(([name]) => name).toSorted(), Object.keys(events).toSorted());
});

for (const [name, ...cells] of rows) {
  const event = events[name as keyof typeof events];
  for (const [index, cell] of cells.entries()) {
    const from = states[head![index + 1] as keyof typeof states];
    Deno.test(`${name} in ${from.at}: ${cell}`, () => {
      const { state, steps } = stepUpdate(from, event);
      if (cell === "·") {
        assert.deepEqual({ state, steps }, { state: from, steps: [] });
        return;
      }
      const said = [state.at, steps.map((step) => step.kind).join(",")].join(" ");
      assert.equal(said, cell);
    });
  }
}

Deno.test("attempts are bounded: a file that never comes ends as a failure that says so", () => {
  for (
    const [at, most] of [["fetching", FETCH_ATTEMPTS_MAX], ["staging", STAGE_ATTEMPTS_MAX]] as const
  ) {
    let state: UpdateState = states[at];
    let count = 0;
    while (state.at !== "idle") {
      state = stepUpdate(state, events.fault).state;
      count++;
    }
    assert.equal(count, most);
    assert.deepEqual(state.last, {
      wanted,
      outcome: "failed",
      reason: "unreachable",
      detail: "no route",
    });
  }
});

Deno.test("an assignment that ended is not begun again; a new action with the same file is", () => {
  const { state } = stepUpdate(states.fetching, events.final);
  assert.equal(stepUpdate(state, events.assigned).state, state);
  const again = { kind: "assigned", wanted: { ...wanted, action: "9" } } as const;
  assert.equal(stepUpdate(state, again).state.at, "fetching");
});

Deno.test("whatever happens in whatever order, an update ends, and never confirms what was not healthy", () => {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
  console.log(`seed ${seed}`);
  let random = seed;
  const below = (n: number) => {
    random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
    // The low bits of such a generator alternate.
    return Math.floor(random / 2 ** 32 * n);
  };
  const all = Object.values(events);
  for (let walk = 0; walk < 2_000; walk++) {
    let state: UpdateState = states.idle;
    let healthy = false;
    for (let i = 0; i < 60; i++) {
      const event: UpdateEvent = all[below(all.length)]!;
      if (event.kind === "healthy" && state.at === "trial") healthy = true;
      const next = stepUpdate(state, event);
      if (next.steps.some((step) => step.kind === "confirm")) assert.ok(healthy);
      if (next.state.at === "idle") healthy = false;
      // Asked again after a cut, it goes on with no more than it was doing.
      if (next.state !== state && next.state.at !== "idle") {
        assert.deepEqual(next.steps.slice(-resume(next.state).length), resume(next.state));
      }
      state = next.state;
    }
  }
});
