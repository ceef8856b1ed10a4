import assert from "node:assert/strict";
import { processClock } from "../hal/linux/mod.ts";
import { VirtualClock } from "../hal/sim/mod.ts";
import { DistrictClient } from "./client.ts";
import type { BoxIdentity } from "./identity_store.ts";
import { Link } from "./link.ts";
import { FakeDistrict, TEST_CA_PEM } from "./testing/mod.ts";
import { TimeScale } from "./time_scale.ts";
import { boxIdOf, SigningKey, WIRE_LIMITS } from "./wire/mod.ts";

const real = processClock();
const forever = new AbortController().signal;

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = real.monotonicMs() + 3_000;
  while (!holds()) {
    if (real.monotonicMs() > end) assert.fail(`not within 3 s: ${what}`);
    await real.sleep(2, forever);
  }
}

/** A link over real sockets whose time-outs run on a virtual clock. */
class Rig implements AsyncDisposable {
  readonly clock = new VirtualClock({ wallMs: real.wallMs() });
  readonly district = new FakeDistrict(real);
  readonly ignored: string[] = [];
  readonly versions: number[] = [];
  readonly key = SigningKey.generate();
  readonly client: DistrictClient;
  readonly link: Link;
  opened = 0;

  constructor() {
    this.district.admit(this.key.publicKey);
    const identity: BoxIdentity = {
      boxId: boxIdOf(this.key.publicKey),
      key: this.key,
      url: this.district.url,
      districtName: "Test",
      districtKey: this.district.key.publicKey,
      caPem: TEST_CA_PEM,
    };
    const time = new TimeScale(this.clock, () => {});
    this.client = new DistrictClient(identity, this.clock, time);
    this.link = new Link({
      identity,
      client: this.client,
      clock: this.clock,
      time,
      status: () => ({
        kind: "status",
        name: "x",
        version: "1",
        policyVersion: 0,
        doors: [],
        readers: [],
        backlogEvents: 0,
        rssBytes: 0,
        uptimeMs: 0,
      }),
      onOpen: () => this.opened++,
      onPolicyVersion: (version) => this.versions.push(version),
      onCommand: () => assert.fail("no command was sent"),
      onIgnored: (reason) => this.ignored.push(reason),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client[Symbol.dispose]();
    await this.district[Symbol.asyncDispose]();
  }
}

/** Lets a link that closes have its moment, which is virtual too. */
async function ended<T>(rig: Rig, run: Promise<T>): Promise<T> {
  let done = false;
  const marked = run.finally(() => done = true);
  marked.catch(() => {});
  for (let n = 0; n < 100 && !done; n++) {
    await real.sleep(2, forever);
    if (n > 20) await rig.clock.advance(100);
  }
  return marked;
}

Deno.test("a link whose district has fallen silent is given up; one that repeats hello is kept", async () => {
  await using rig = new Rig();
  const run = rig.link.run(forever);
  await until("open", () => rig.opened === 1);
  await rig.clock.advance(WIRE_LIMITS.helloMissedMsMax - 1_000);
  rig.district.hello();
  await until("second hello", () => rig.versions.length === 2);
  await rig.clock.advance(WIRE_LIMITS.helloMissedMsMax - 1_000);
  assert.equal(rig.district.links, 1);
  await rig.clock.advance(2_000);
  const { up, detail } = await ended(rig, run);
  assert.equal(up, true);
  assert.match(detail, /no further hello/);
  assert.equal(rig.opened, 1);
});

Deno.test("a hello that another link was given does not open this one", async () => {
  await using rig = new Rig();
  rig.district.faults.wrongKey = true;
  const run = rig.link.run(forever);
  await until("refused", () => rig.ignored.length === 1);
  assert.match(rig.ignored[0]!, /not signed/);
  rig.district.send({
    kind: "hello",
    boxId: boxIdOf(rig.key.publicKey),
    nonce: "recorded-earlier-0000",
    serverWallMs: real.wallMs(),
    policyVersion: 9,
  });
  rig.district.send({ kind: "policy.available", boxId: boxIdOf(rig.key.publicKey), version: 9 });
  await until("ignored", () => rig.ignored.length === 3);
  assert.match(rig.ignored[1]!, /another link/);
  assert.match(rig.ignored[2]!, /before hello/);
  assert.deepEqual(rig.versions, []);
  await rig.clock.advance(15_001);
  const { up, detail } = await ended(rig, run);
  assert.equal(up, false);
  assert.match(detail, /no hello/);
});

Deno.test("a flood of rubbish ends the link", async () => {
  await using rig = new Rig();
  const run = rig.link.run(forever);
  await until("open", () => rig.opened === 1);
  for (let n = 0; n < 100; n++) rig.district.sendRaw(new Uint8Array([n]));
  const { detail } = await ended(rig, run);
  assert.match(detail, /not for us/);
});

Deno.test("an abort closes the socket and throws its reason", async () => {
  await using rig = new Rig();
  const stop = new AbortController();
  const run = rig.link.run(stop.signal);
  await until("open", () => rig.opened === 1);
  stop.abort(new Error("enough"));
  await assert.rejects(ended(rig, run), /enough/);
  await until("closed", () => rig.district.links === 0);
});
