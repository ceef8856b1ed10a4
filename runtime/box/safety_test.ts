import assert from "node:assert/strict";
import { VirtualClock } from "../../hal/sim/mod.ts";
import type { InputFault, InputLine } from "../../drivers/contract.ts";
import { jsonLog } from "../log.ts";
import { EmergencyLatches } from "./emergency_latches.ts";
import { Safety } from "./safety.ts";

/** An input that a test sets, with its fault. */
class Contact implements InputLine {
  #level: boolean | undefined;
  #fault: InputFault | undefined;
  readonly #listeners = new Set<(active: boolean | undefined, atMonotonicMs: number) => void>();

  constructor(level: boolean | undefined) {
    this.#level = level;
  }

  active(): boolean | undefined {
    return this.#level;
  }

  fault(): InputFault | undefined {
    return this.#fault;
  }

  onChange(listener: (active: boolean | undefined, atMonotonicMs: number) => void) {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  set(level: boolean | undefined, fault?: InputFault): void {
    [this.#level, this.#fault] = [level, fault];
    for (const listener of this.#listeners) listener(level, 0);
  }
}

function rig(normally: "open" | "closed", contact: Contact) {
  const clock = new VirtualClock();
  const done: string[] = [];
  const logged: string[] = [];
  const latches = {
    has: () => false,
    set: () => {
      throw new Error("no space left");
    },
  };
  const safety = new Safety({ emergency: [{ input: "panic" }], signals: [] }, {
    clock,
    log: jsonLog(clock, (line) => logged.push(line), "warn"),
    inputs: new Map([["fire", contact], ["panic", new Contact(true)]]),
    outputs: new Map(),
    latches,
    record: ({ kind }) => done.push(kind),
    onRelease: (active) => done.push(`released ${active}`),
  });
  safety.start([{ input: "fire", normally }]);
  return { safety, done, logged };
}

Deno.test("a normally closed loop that opens releases; closing it ends the release", () => {
  const loop = new Contact(true);
  const { done } = rig("closed", loop);
  done.length = 0;
  loop.set(false);
  loop.set(false);
  loop.set(true);
  assert.deepEqual(done, [
    "released true",
    "release.activated",
    "released false",
    "release.cleared",
  ]);
});

Deno.test("a fault of a supervised input neither releases nor ends a release", () => {
  for (const normally of ["open", "closed"] as const) {
    const rest = normally === "closed";
    const loop = new Contact(rest);
    const { done } = rig(normally, loop);
    done.length = 0;
    loop.set(undefined, "open");
    loop.set(undefined, "short");
    loop.set(rest);
    assert.deepEqual(done, [], normally);
    loop.set(!rest);
    loop.set(undefined, "open");
    loop.set(!rest);
    assert.deepEqual(done, ["released true", "release.activated"], normally);
    loop.set(rest);
    assert.equal(done.at(-1), "release.cleared");
  }
});

Deno.test("what is active at start counts, and an input that is not known yet does not", () => {
  assert.deepEqual(rig("closed", new Contact(false)).done.slice(0, 2), [
    "released true",
    "release.activated",
  ]);
  assert.deepEqual(rig("open", new Contact(undefined)).done, ["emergency.raised"]);
});

Deno.test("an emergency that cannot be stored is raised all the same, and the fault logged", () => {
  const { done, logged } = rig("open", new Contact(false));
  assert.deepEqual(done, ["emergency.raised"]);
  assert.match(logged.join(), /a restart will forget it.*no space left/);
});

Deno.test("emergencies outlive a restart; a spoilt file is told and counts as none", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/emergencies.json`;
    const reports: string[] = [];
    const open = () => new EmergencyLatches(path, (text) => reports.push(text));
    open().set("panic", true);
    assert.ok(open().has("panic"));
    open().set("panic", false);
    assert.ok(!open().has("panic"));
    assert.deepEqual(reports, []);
    for (const bad of ["", "{}", "[1]", "[" + '"a",'.repeat(64) + '"a"]', '["panic"', "\0"]) {
      await Deno.writeTextFile(path, bad);
      assert.ok(!open().has("panic"), bad);
    }
    assert.equal(reports.length, 6);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
