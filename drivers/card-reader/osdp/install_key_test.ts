import assert from "node:assert/strict";
import { COMMAND } from "./commands.ts";
import { OsdpKeyError } from "./key.ts";
import { openRig, recovers, type Rig } from "./rig_test.ts";
import { SCBK_D } from "./secure_crypto.ts";

const KEY = Uint8Array.fromHex("000102030405060708090a0b0c0d0e0f");
const OTHER = Uint8Array.fromHex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
const keys = { 0: KEY.toHex() };
const SECURE = { address: 0, key: KEY, secureOnly: true } as const;

const installing = (rig: Rig, key: Uint8Array, from: "default" | "current", timeoutMs = 5_000) => {
  const outcome = { text: "" };
  rig.bus.installKey(0, key, { from, timeoutMs }, new AbortController().signal).then(
    () => outcome.text = "done",
    (cause: unknown) => outcome.text = String(cause),
  );
  return outcome;
};

Deno.test("a key is installed from the default key, and the reader is online under the new one", async () => {
  for (const clearKeySetAck of [false, true]) {
    const wire: string[] = [];
    await using rig = await openRig([{ address: 0, installMode: true, clearKeySetAck }], {
      keys,
      interfere: (bytes) => {
        wire.push(bytes.toHex());
        return [{ bytes }];
      },
    });
    await rig.clock.advance(2_000);
    assert.deepEqual(rig.events, ["0: offline protocol"]);
    const outcome = installing(rig, KEY, "default");
    await rig.clock.advance(3_000);
    assert.equal(outcome.text, "done");
    assert.equal(rig.line.reader(0).key?.toHex(), KEY.toHex());
    assert.ok(!wire.join("").includes(KEY.toHex()), "it is encrypted, for what that is worth");
    await recovers(rig, 0);
    assert.equal(rig.line.reader(0).secure, true);
  }
});

Deno.test("a key is changed under the current one, also through lost replies", async () => {
  await using rig = await openRig([SECURE], { keys });
  await rig.clock.advance(500);
  let lost = 0;
  rig.line.reader(0).onCommand((code) => {
    if (code === COMMAND.keySet && lost++ === 0) rig.line.reader(0).faults.loseReplies = 1;
  });
  const outcome = installing(rig, OTHER, "current");
  await rig.clock.advance(4_000);
  assert.equal(outcome.text, "done");
  assert.equal(rig.line.reader(0).key?.toHex(), OTHER.toHex());
  assert.equal(lost, 2, "it was told twice, and taken once");
  await recovers(rig, 0);
  rig.line.reader(0).loseSession();
  await recovers(rig, 0);
});

Deno.test("an installation ends in time, says why, and leaves the reader as it was", async () => {
  await using rig = await openRig([SECURE], { keys });
  await rig.clock.advance(500);
  const outcome = installing(rig, OTHER, "default");
  await rig.clock.advance(4_900);
  assert.equal(outcome.text, "");
  await rig.clock.advance(200);
  assert.match(outcome.text, /OsdpKeyError: .*not in installation mode/);
  assert.equal(rig.line.reader(0).key?.toHex(), KEY.toHex());
  await recovers(rig, 0);
  const second = installing(rig, OTHER, "current");
  await assert.rejects(
    rig.bus.installKey(0, OTHER, { from: "current" }, new AbortController().signal),
    RangeError,
  );
  await rig.bus[Symbol.asyncDispose]();
  await rig.clock.advance(10);
  assert.match(second.text, /OsdpKeyError: the bus was closed/);
});

Deno.test("a reader that refuses a key, and a key that is none, are said", async () => {
  await using rig = await openRig([{ ...SECURE, unknownCommands: [COMMAND.keySet] }], { keys });
  await rig.clock.advance(500);
  const outcome = installing(rig, OTHER, "current");
  await rig.clock.advance(1_000);
  assert.match(outcome.text, /the reader refuses the key/);
  await recovers(rig, 0);
  const { signal } = new AbortController();
  for (const key of [SCBK_D, new Uint8Array(15)]) {
    await assert.rejects(rig.bus.installKey(0, key, { from: "current" }, signal), RangeError);
  }
  await assert.rejects(rig.bus.installKey(4, OTHER, { from: "current" }, signal), RangeError);
  const abort = new AbortController();
  const aborted = rig.bus.installKey(0, OTHER, { from: "default" }, abort.signal);
  abort.abort(new OsdpKeyError("closed", "enough"));
  await assert.rejects(aborted, /enough/);
  await recovers(rig, 0);
});

Deno.test("a reader without key gets one; if that fails, it is back in clear text", async () => {
  const device = { address: 0, installMode: true } as const;
  await using rig = await openRig([{ ...device, unknownCommands: [COMMAND.keySet] }]);
  await rig.clock.advance(500);
  const { signal } = new AbortController();
  await assert.rejects(rig.bus.installKey(0, KEY, { from: "current" }, signal), RangeError);
  const outcome = installing(rig, KEY, "default");
  await rig.clock.advance(1_000);
  assert.match(outcome.text, /the reader refuses the key/);
  await recovers(rig, 0);
  assert.equal(rig.line.reader(0).secure, false);
  assert.equal(rig.bus.counts().reopened, 0);
  await using good = await openRig([device]);
  await good.clock.advance(500);
  const first = installing(good, KEY, "default");
  await good.clock.advance(2_000);
  assert.equal(first.text, "done");
  const second = installing(good, OTHER, "default", 2_000);
  await good.clock.advance(3_000);
  assert.match(second.text, /timeout|not installed in time/);
  await recovers(good, 0);
  assert.equal(good.line.reader(0).secure, true, "it keeps to the key that it was given");
});
