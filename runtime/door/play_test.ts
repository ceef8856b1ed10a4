import type { DoorInput, DoorStep } from "./machine.ts";

/** Feeds inputs at given times (running deadlines in between) and writes down what was done. */
export function play<S>(
  step: (state: S, input: DoorInput, nowMs: number) => {
    readonly state: S;
    readonly steps: readonly DoorStep[];
    readonly nextDeadlineMs: number | undefined;
  },
  initial: S,
  inputs: readonly (readonly [number, DoorInput])[],
  untilMs: number,
): string[] {
  const done: string[] = [];
  let state = initial;
  let deadline: number | undefined;
  const apply = (input: DoorInput, nowMs: number) => {
    const next = step(state, input, nowMs);
    for (const one of next.steps) done.push(`${nowMs} ${textOf(one)}`);
    state = next.state;
    deadline = next.nextDeadlineMs;
  };
  const runDeadlines = (beforeMs: number) => {
    while (deadline !== undefined && deadline <= beforeMs) apply({ kind: "time" }, deadline);
  };
  for (const [atMs, input] of inputs) {
    runDeadlines(atMs);
    apply(input, atMs);
  }
  runDeadlines(untilMs);
  return done;
}

function textOf(step: DoorStep): string {
  switch (step.kind) {
    case "record": {
      const { kind, door: _door, credential: _credential, ...rest } = step
        .event as unknown as Record<
          string,
          unknown
        >;
      return [kind, ...Object.values(rest)].join(" ");
    }
    case "drive": {
      const revert = step.revertAfterMs === undefined ? "" : ` ${step.revertAfterMs}`;
      return `${step.output} ${step.active ? "ON" : "OFF"}${revert}`;
    }
    default:
      return step.kind.toUpperCase();
  }
}
