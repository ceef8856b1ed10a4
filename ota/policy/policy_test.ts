/** Bundles of settings, with hostile ones; the box is stood in for by what it says of itself. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { VirtualClock } from "../../hal/sim/mod.ts";
import { UpdateFault, type Wanted } from "../agent/mod.ts";
import { notePaths, readNote, TEXT_BYTES_MAX } from "../stand_in/mod.ts";
import type { RepositorySource, TrustedTarget, UpdateTrust } from "../trust/mod.ts";
import { policyBackEnd, settingsText } from "./mod.ts";

const never = new AbortController().signal;
const SETTINGS = {
  holidays: [],
  schedules: [{ id: "day", name: "day", weekly: [], onHolidays: [] }],
  accessLevels: [{ id: "staff", name: "staff", grants: [{ doors: ["*"], schedule: "day" }] }],
};

/** An updater's folder, and a bundle that it may be given. */
async function desk(bundle: string, custom: object = {}, path = "policy/north/2.0.0.json") {
  const updates = await Deno.makeTempDir({ prefix: "policy-" });
  const bytes = new TextEncoder().encode(bundle);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const wanted: Wanted = { version: "2.0.0", path, sha256, action: "7" };
  const said = { schema: 1, kind: "policy", version: "2.0.0", district: "north", releasedMs: 1 };
  const target = { ...wanted, lengthBytes: bytes.length, custom: { ...said, ...custom } };
  const trust = {
    look: (_signal: AbortSignal, use: (view: unknown) => Promise<unknown>) =>
      use({ target: () => Promise.resolve(target as unknown as TrustedTarget) }),
  } as unknown as UpdateTrust;
  const source = {
    get: () => Promise.resolve({ status: 200, body: new Blob([bytes]).stream() }),
  } as unknown as RepositorySource;
  const clock = new VirtualClock();
  const box = { settings: "district:4" as string | undefined, asked: 0, left: 0 };
  const backEnd = policyBackEnd({
    ...{ updates, trust, source, clock, district: "north" },
    settings: () => Promise.resolve(box.settings).finally(() => box.asked++),
    leave: () => Promise.resolve(void box.left++),
  });
  return {
    ...{ wanted, box, backEnd, clock, paths: notePaths(updates, "policy") },
    [Symbol.asyncDispose]: () => Deno.remove(updates, { recursive: true }),
  };
}
const refused = (final: boolean, why: RegExp) => (error: unknown) => {
  assert.ok(error instanceof UpdateFault, String(error));
  assert.equal(error.final, final);
  assert.match(error.message, why);
  return true;
};

Deno.test("settings are on trial for what the box has, without a new start of it", async () => {
  await using at = await desk(JSON.stringify(SETTINGS));
  const { backEnd, wanted } = at;
  await backEnd.fetch(wanted, never);
  await backEnd.stage(wanted, never);
  assert.equal(readNote(at.paths.trial), undefined);
  await backEnd.switch(wanted);
  const note = readNote(at.paths.trial)!;
  assert.deepEqual([note.base, JSON.parse(note.text!)], ["district:4", SETTINGS]);
  assert.deepEqual([backEnd.running(), backEnd.concerns()], [wanted.sha256, true]);
  await backEnd.revert();
  assert.deepEqual([backEnd.running(), at.box.left], [undefined, 2]);
});

Deno.test("a box without a policy, or that does not answer, is waited for", async () => {
  await using at = await desk(JSON.stringify(SETTINGS));
  await at.backEnd.fetch(at.wanted, never);
  const staged = async (minutes: number) => {
    let over = false;
    const staging = at.backEnd.stage(at.wanted, never).finally(() => over = true);
    staging.catch(() => {});
    // The bundle is read from a real disk, which the virtual time does not wait for.
    const { asked } = at.box;
    while (at.box.asked === asked) await new Promise((resolve) => setTimeout(resolve, 1));
    for (let s = 0; s < minutes * 60 && !over; s++) await at.clock.advance(1_000);
    return { over, staging };
  };
  at.box.settings = undefined;
  await assert.rejects((await staged(11)).staging, refused(false, /does not answer/));
  at.box.settings = "";
  await assert.rejects((await staged(11)).staging, refused(false, /no policy/));
  const { over, staging } = await staged(1);
  assert.equal(over, false);
  at.box.settings = "district:1";
  await at.clock.advance(1_000);
  await staging;
});

Deno.test("another district's, and what is no settings, are refused for good", async () => {
  const others: [object, string | undefined, RegExp][] = [
    [{ district: "south" }, "policy/south/2.0.0.json", /this box is of north/],
    [{ district: "south" }, undefined, /described as one of district south/],
    [{}, "policy/south/2.0.0.json", /described as one of district north/],
    [{ district: "../north" }, undefined, /expected a district/],
    [{ kind: "config" }, undefined, /does not understand/],
  ];
  for (const [custom, path, why] of others) {
    await using at = await desk(JSON.stringify(SETTINGS), custom, path);
    await assert.rejects(at.backEnd.fetch(at.wanted, never), refused(true, why));
  }
  const [level] = SETTINGS.accessLevels;
  const bad: [string, RegExp][] = [
    ...["", "{", "null", "[]", "7"].map((text) => [text, /./] as [string, RegExp]),
    [JSON.stringify({ ...SETTINGS, cardholders: [] }), /cardholders/],
    [JSON.stringify({ ...SETTINGS, accessLevels: [level, level] }), /stands there twice/],
    [JSON.stringify({ ...SETTINGS, schedules: [] }), /names the schedule day/],
  ];
  for (const [text, why] of bad) {
    await using at = await desk(text);
    await at.backEnd.fetch(at.wanted, never);
    await assert.rejects(at.backEnd.stage(at.wanted, never), refused(true, why), text);
  }
  await using large = await desk("x".repeat(TEXT_BYTES_MAX + 1));
  await assert.rejects(large.backEnd.fetch(large.wanted, never), refused(true, /is larger/));
  const grants = Array.from({ length: 200 }, () => ({
    ...{ doors: Array.from({ length: 999 }, () => "east-gate/main"), schedule: "day" },
  }));
  const huge = { ...SETTINGS, accessLevels: [{ ...level, grants }] };
  assert.throws(() => settingsText(huge), /longer than 1 MB/);
  // What a box would not take is not signed: bytes count, not characters.
  const holidays = Array.from({ length: 1_000 }, (_, index) => ({
    ...{ id: `h${index}`, name: "节".repeat(128), from: "2026-10-01", to: "2026-10-01" },
  }));
  const levels = Array.from({ length: 1_600 }, (_, index) => ({
    ...{ id: `l${index}`, name: "级".repeat(128), grants: [] },
  }));
  const chinese = { ...SETTINGS, holidays, accessLevels: levels };
  assert.ok(JSON.stringify(chinese).length < TEXT_BYTES_MAX);
  assert.throws(() => settingsText(chinese), /longer than 1 MB/);
});
