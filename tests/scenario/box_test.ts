/**
 * A box without a district, as an installer has it on the bench: the real program, a real serial
 * line, policy from a file.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { runProgram } from "../../demo/program.ts";
import { bench, clock, kinds, LI, load, POLICY, until, ZHANG } from "../support/gate_bench.ts";

Deno.test("a tap opens the door, and everything that happens is on record", async () => {
  await using site = await bench();
  await load(site, POLICY);
  {
    await using _box = await site.start();
    site.inside.present(32, ZHANG);
    await until("the strike is energised", () => site.inside.output(0));
    await until("green", () => site.inside.led().colour === "green");
    site.inside.setInput(0, true);
    await clock.sleep(300, new AbortController().signal);
    site.inside.setInput(0, false);
    await until("it relocks when the door closes", () => !site.inside.output(0));

    site.outside.present(26, LI);
    await until("red for a card out of its hours", () => site.outside.led().colour === "red");
    site.inside.present(32, Uint8Array.of(1, 2, 3, 4));
    await until("red for an unknown card", () => site.inside.led().colour === "red");
    assert.equal(site.inside.output(0), false);

    site.outside.setInput(0, true);
    await until("the button opens from inside", () => site.inside.output(0));
    site.outside.setInput(0, false);
    await until("and its time ends", () => !site.inside.output(0));

    site.inside.setInput(0, true);
    await until("forced", async () => kinds(await site.events()).includes("door.forced"));
    site.inside.setInput(0, false);
    await until("secured", async () => kinds(await site.events()).includes("door.secured"));

    site.outside.setInput(1, true);
    await until("the fire panel frees the door", () => site.inside.output(0));
    await clock.sleep(2_000, new AbortController().signal);
    assert.equal(site.inside.output(0), true, "longer than any hold");
    site.outside.setInput(1, false);
    await until("and it locks again", () => !site.inside.output(0));
  }
  const events = await site.events();
  const seen = kinds(events);
  for (
    const kind of [
      "box.started",
      "reader.online",
      "access.granted",
      "door.unlocked access",
      "door.opened",
      "door.closed",
      "door.relocked",
      "access.denied outside-schedule",
      "access.denied unknown-card",
      "door.unlocked request-to-exit",
      "door.forced",
      "door.secured",
      "release.activated",
      "door.unlocked release",
      "release.cleared",
      "box.stopped",
    ]
  ) {
    assert.ok(seen.includes(kind), `${kind} in ${seen.join(", ")}`);
  }
  const unknown = events.map((e) => e.event as { reason?: string; card?: unknown })
    .find((event) => event.reason === "unknown-card");
  assert.deepEqual(unknown?.card, { bits: 32, hex: "01020304" });
});

Deno.test("a policy loaded beside a running box is in force within seconds; a bad one changes nothing", async () => {
  await using site = await bench();
  await using _box = await site.start();
  site.inside.present(32, ZHANG);
  await until(
    "refused without a policy",
    async () => kinds(await site.events()).includes("access.denied no-policy"),
  );
  await load(site, POLICY);
  await until("granted with one", async () => {
    site.inside.present(32, ZHANG);
    await clock.sleep(500, new AbortController().signal);
    return site.inside.output(0);
  });
  const file = join(site.dir, "bad.yaml");
  await Deno.writeTextFile(
    file,
    "schema: 1\ncredentials: [{ id: 1, cardholder: 9, bits: 8, hex: '01' }]\n",
  );
  const bad = await runProgram(["policy", "load", file, "--data", site.data]);
  assert.equal(bad.code, 3);
  assert.match(bad.stderr, /credential 1 names cardholder 9, which is not there/);
  await until("relocked", () => !site.inside.output(0));
  await clock.sleep(2_500, new AbortController().signal);
  site.inside.present(32, ZHANG);
  await until("the good one stays in force", () => site.inside.output(0));
});

Deno.test("killed and started again, the door works and the record goes on", async () => {
  await using site = await bench();
  await load(site, POLICY);
  for (let round = 0; round < 3; round++) {
    const box = await site.start();
    site.inside.present(32, ZHANG);
    await until("granted", () => site.inside.output(0));
    await until(
      "on record",
      async () =>
        kinds(await site.events()).filter((kind) => kind === "access.granted").length === round + 1,
    );
    box.kill("SIGKILL");
    await box.status;
    await until("the reader's own timer relocks", () => !site.inside.output(0));
  }
  const events = await site.events();
  const boots = new Set(events.map((event) => event.boot));
  assert.equal(boots.size, 3);
  const access = events.filter((event) => event.lane === "access").map((event) => event.seq);
  assert.deepEqual(access, Array.from(access, (_, index) => index + 1), "no gap, no double");
});

Deno.test("a serial line that is pulled and put back needs no restart", async () => {
  await using site = await bench();
  await load(site, POLICY);
  await using box = await site.start();
  site.inside.faults.mute = site.outside.faults.mute = true;
  await until(
    "offline is an alarm",
    async () => kinds(await site.events()).includes("reader.offline no-reply"),
  );
  site.inside.faults.mute = site.outside.faults.mute = false;
  await until("online again, and opens", async () => {
    site.inside.present(32, ZHANG);
    await clock.sleep(400, new AbortController().signal);
    return site.inside.output(0);
  });
  assert.ok(box.lines.length > 0);
});

Deno.test("a second box on the same data, and a configuration with faults, are refused", async () => {
  await using site = await bench();
  await using _box = await site.start();
  const second = await runProgram(["box", "--config", site.config, "--data", site.data]);
  assert.equal(second.code, 1);
  assert.match(second.stderr, /another box runs on/);
  const bad = join(site.dir, "bad.yaml");
  await Deno.writeTextFile(bad, "box: { name: x, timezone: Mars/Olympus }\n");
  const box = await runProgram(["box", "--config", bad, "--data", join(site.dir, "other")]);
  assert.equal(box.code, 3);
  assert.match(box.stderr, /bad\.yaml:1:\d+: box\.timezone: expected an IANA time zone/);
  const check = await runProgram(["check", "--config", bad, "--json"]);
  assert.equal(check.code, 3);
  assert.equal(JSON.parse(check.stdout).faults[0].line, 1);
  assert.equal((await runProgram(["check", "--config", site.config])).code, 0);
  assert.equal((await runProgram(["check"])).code, 2);
  assert.equal((await runProgram(["box", "--nonsense"])).code, 2);
});

Deno.test("200,000 cards arrive while people tap: nobody waits for them", async () => {
  await using site = await bench();
  await load(site, POLICY);
  await using box = await site.start();
  const people = Array.from({ length: 200_000 }, (_, index) => index + 100);
  const large = {
    ...POLICY,
    cardholders: [
      ...POLICY.cardholders,
      ...people.map((id) => ({ id, name: `学生${id}`, accessLevels: ["staff"] })),
    ],
    credentials: [
      ...POLICY.credentials,
      ...people.map((id) => ({
        id,
        cardholder: id,
        bits: 32,
        hex: id.toString(16).padStart(8, "0"),
      })),
    ],
  };
  let loaded = false;
  const loading = load(site, large).then(async () => {
    await box.findJson({ message: "policy in force", credentials: 200_002 });
    loaded = true;
  });
  const waitsMs: number[] = [];
  while (!loaded) {
    const startMs = clock.monotonicMs();
    let lit = false;
    const cancel = site.inside.onLed((led) => lit ||= led.temporary);
    site.inside.present(32, ZHANG);
    await until("a light answers the tap", () => lit);
    cancel();
    waitsMs.push(clock.monotonicMs() - startMs);
    await clock.sleep(50, new AbortController().signal);
  }
  await loading;
  const longestMs = Math.max(...waitsMs);
  console.log(
    `${waitsMs.length} taps meanwhile, the longest wait for a light ${Math.round(longestMs)} ms`,
  );
  assert.ok(waitsMs.length > 5, "people tapped all the while");
  // Reading such a policy takes seconds; a tap that waited for it would show.
  assert.ok(longestMs < 1_000, `somebody waited ${longestMs} ms`);
  site.inside.present(32, Uint8Array.of(0, 0x03, 0x0d, 0xa3));
  await until("the last of them may pass", () => site.inside.output(0));
});
