/**
 * A reader that speaks in the secure channel alone, at the real program with the permissions that it
 * has in the field: the key file must be readable, and the key be seen nowhere.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { bench, clock, load, POLICY, until, ZHANG } from "../support/gate_bench.ts";

const KEY = Uint8Array.fromHex("8f3a1b5c7d9e0f2143658709abcdef10");

Deno.test("a tap in the secure channel opens the door, also after the session was lost", async () => {
  await using site = await bench(KEY);
  await load(site, POLICY);
  await Deno.writeTextFile(join(site.data, "inside.key"), `${KEY.toHex()}\n`);
  {
    await using _box = await site.start();
    assert.equal(site.inside.secure, true);
    site.inside.present(32, ZHANG);
    await until("the strike is energised", () => site.inside.output(0));
    await until("and its time ends", () => !site.inside.output(0));
    site.inside.loseSession();
    await clock.sleep(1_500, new AbortController().signal);
    assert.equal(site.inside.secure, true, "a new session without anybody's help");
    site.inside.present(32, ZHANG);
    await until("it opens again", () => site.inside.output(0));
  }
  const events = JSON.stringify(await site.events());
  assert.ok(events.includes("access.granted"));
  assert.ok(!events.includes(KEY.toHex()), "the key is in no event");
});
