import assert from "node:assert/strict";
import { processClock } from "../hal/linux/mod.ts";
import type { Clock } from "../hal/mod.ts";
import { enrol, loadIdentity, SyncError, type SyncErrorKind } from "./mod.ts";
import { EXPIRED_CERTIFICATE, FakeDistrict } from "./testing/mod.ts";
import { boxIdOf, makeToken, newTokenSecret } from "./wire/mod.ts";
import { Buffer } from "node:buffer";

const clock = processClock();
const signal = new AbortController().signal;

interface Folder extends AsyncDisposable {
  readonly path: string;
}

async function folder(): Promise<Folder> {
  const path = await Deno.makeTempDir();
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

function refusedAs(kind: SyncErrorKind, message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof SyncError, String(error));
    assert.equal(error.kind, kind, error.message);
    assert.match(error.message, message);
    return true;
  };
}

Deno.test("enrols, keeps who is who, and keeps its key to itself", async () => {
  await using district = new FakeDistrict(clock);
  await using data = await folder();
  const options = { url: district.url, name: "east-gate", dataDir: data.path, clock };
  const identity = await enrol({ ...options, token: district.token() }, signal);
  assert.equal(identity.boxId, boxIdOf(identity.key.publicKey));
  assert.deepEqual(identity.districtKey, district.key.publicKey);
  const loaded = await loadIdentity(data.path);
  assert.deepEqual(loaded, identity);
  const mode = (await Deno.stat(`${data.path}/identity/key.pk8`)).mode!;
  assert.equal(mode & 0o777, 0o600);
  const left = [...Deno.readDirSync(`${data.path}/identity`)].map(({ name }) => name).sort();
  assert.deepEqual(left, ["district.json", "key.pk8"]);
  // Enrolled again, it is still the same box.
  const again = await enrol({ ...options, token: district.token() }, signal);
  assert.equal(again.boxId, identity.boxId);
});

Deno.test("a lost answer can be asked for again with the same token", async () => {
  await using district = new FakeDistrict(clock);
  await using data = await folder();
  const options = {
    url: district.url,
    name: "east-gate",
    dataDir: data.path,
    clock,
    token: district.token(),
  };
  const first = await enrol(options, signal);
  await Deno.remove(`${data.path}/identity/district.json`);
  assert.equal((await enrol(options, signal)).boxId, first.boxId);
});

Deno.test("each way to fail says what to do, and leaves no identity", async () => {
  await using district = new FakeDistrict(clock);
  await using data = await folder();
  const options = { url: district.url, name: "east-gate", dataDir: data.path, clock };
  const attempt = (changes: { token?: string; url?: string }) =>
    enrol({ ...options, token: district.token(), ...changes }, signal);
  const otherCa = `gh1.${newTokenSecret()}.${Buffer.alloc(32, 1).toString("base64url")}`;
  await assert.rejects(attempt({ token: "gh1.x" }), refusedAs("token", /copy the whole token/));
  await assert.rejects(attempt({ token: otherCa }), refusedAs("fingerprint", /nothing was sent/));
  await assert.rejects(
    attempt({ token: district.token("used") }),
    refusedAs("token", /used before; make a new one/),
  );
  await assert.rejects(
    attempt({ token: district.token("expired") }),
    refusedAs("token", /too old; make a new one/),
  );
  await using other = new FakeDistrict(clock);
  await assert.rejects(
    attempt({ token: other.token() }),
    refusedAs("token", /does not know this token/),
  );
  await assert.rejects(
    attempt({ url: "https://127.0.0.1:1" }),
    refusedAs("unreachable", /check the network/),
  );
  await assert.rejects(attempt({ url: "http://127.0.0.1" }), refusedAs("unreachable", /https/));
  await assert.rejects(attempt({ url: "east gate" }), refusedAs("unreachable", /expected https/));
  assert.equal(await loadIdentity(data.path), undefined);
});

Deno.test("a server with an impostor's fingerprint is sent nothing", async () => {
  await using district = new FakeDistrict(clock);
  await using data = await folder();
  const asked: string[] = [];
  district.faults.intercept = (request) => {
    asked.push(new URL(request.url).pathname);
    return undefined;
  };
  const token = `gh1.${newTokenSecret()}.${Buffer.alloc(32, 1).toString("base64url")}`;
  const options = { url: district.url, token, name: "x", dataDir: data.path, clock };
  await assert.rejects(enrol(options, signal), refusedAs("fingerprint", /certificate/));
  assert.deepEqual(asked, ["/api/box/v1/ca.pem"]);
});

Deno.test("a certificate out of date is told from an untrusted one", async () => {
  await using district = new FakeDistrict(clock, EXPIRED_CERTIFICATE);
  await using data = await folder();
  const options = { url: district.url, name: "x", dataDir: data.path, clock };
  await assert.rejects(
    enrol({ ...options, token: district.token() }, signal),
    refusedAs("tls-clock", /date and time/),
  );
});

Deno.test("enrols with a clock that says 1970", async () => {
  await using district = new FakeDistrict(clock);
  await using data = await folder();
  const cold: Clock = { ...clockLike(), wallMs: () => 86_400_000 };
  const options = { url: district.url, name: "x", dataDir: data.path, clock: cold };
  const identity = await enrol({ ...options, token: district.token() }, signal);
  assert.deepEqual((await loadIdentity(data.path))?.boxId, identity.boxId);
});

Deno.test("damaged identity files are named, with what to do", async () => {
  await using district = new FakeDistrict(clock);
  await using data = await folder();
  const options = { url: district.url, name: "x", dataDir: data.path, clock };
  await enrol({ ...options, token: district.token() }, signal);
  const json = `${data.path}/identity/district.json`;
  const whole = await Deno.readTextFile(json);
  for (const damage of [whole.slice(0, 40), "", "{}", whole.replace(/bx-./, "bx-z")]) {
    await Deno.writeTextFile(json, damage);
    await assert.rejects(
      loadIdentity(data.path),
      refusedAs("identity", /district\.json is damaged; enrol this box again/),
    );
  }
  await Deno.writeTextFile(json, whole);
  await Deno.writeFile(`${data.path}/identity/key.pk8`, new Uint8Array(10));
  await assert.rejects(loadIdentity(data.path), refusedAs("identity", /key\.pk8 is damaged/));
});

Deno.test("tokens carry the certificate's fingerprint", async () => {
  await using district = new FakeDistrict(clock);
  assert.throws(() => makeToken("x", "no certificate"), /not a certificate/);
  assert.match(district.token(), /^gh1\.[\w-]{32}\.[\w-]{43}$/);
});

function clockLike(): Clock {
  return {
    monotonicMs: () => clock.monotonicMs(),
    wallMs: () => clock.wallMs(),
    wallQuality: () => clock.wallQuality(),
    sleep: (ms, signal) => clock.sleep(ms, signal),
    schedule: (ms, callback) => clock.schedule(ms, callback),
  };
}
