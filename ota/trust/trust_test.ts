import assert from "node:assert/strict";
import { join } from "node:path";
import type { TargetFile } from "@tufjs/models";
import { VirtualClock } from "../../hal/sim/mod.ts";
import { addSignature, bytesOf, signAssignment } from "../repository/mod.ts";
import { FolderSource, memoryKey, Publisher } from "../testing/mod.ts";
import { TimeFloor, TrustError, type TrustErrorKind, UpdateTrust } from "./mod.ts";

const START_MS = Date.UTC(2026, 8, 1);
const DAY_MS = 86_400_000;
const APP = "app/0.2.0/gatehouse.tar.zst";
const never = new AbortController().signal;

async function rig(clockOptions: { wallMs?: number; wallQuality?: "unsynchronised" } = {}) {
  const folder = await Deno.makeTempDir({ prefix: "gatehouse-trust-" });
  const publisher = await Publisher.begin(join(folder, "repository"), START_MS);
  const clock = new VirtualClock({ wallMs: START_MS, ...clockOptions });
  const root = publisher.rootBytes();
  const source = new FolderSource(publisher.folder);
  const dir = join(folder, "trust");
  const floorPath = join(folder, "floor");
  const open = () => {
    const floor = new TimeFloor(floorPath, START_MS, clock);
    return { floor, trust: new UpdateTrust({ dir, root, source, clock, floor }) };
  };
  const { floor, trust } = open();
  const look = (path = APP, one = trust) => one.look(never, (view) => view.target(path));
  return {
    publisher,
    clock,
    source,
    dir,
    trust,
    floor,
    look,
    /** The same box after a restart. */
    reopen: open,
    /** What a whole new update server would serve now. */
    metadata: (name: string) => publisher.read(`metadata/${name}`),
    async [Symbol.asyncDispose]() {
      await Deno.remove(folder, { recursive: true });
    },
  };
}

async function refuses(kind: TrustErrorKind, act: Promise<unknown>, saying = /./): Promise<void> {
  const error = await act.then(() => assert.fail("it was trusted"), (error) => error);
  assert.ok(error instanceof TrustError, `${error?.stack}`);
  assert.equal(error.kind, kind, error.message);
  assert.match(error.message, saying);
}

/** An answer whose body never ends: `pull` gives the next piece. */
function answering(
  pull: (controller: ReadableStreamDefaultController<Uint8Array>) => void | Promise<void>,
) {
  return () => Promise.resolve({ status: 200, body: new ReadableStream({ pull }) });
}

Deno.test("a release that enough keys have signed is trusted, with its length, hash and words", async () => {
  await using r = await rig();
  assert.equal(await r.look(), undefined);
  const target = await r.publisher.release("0.2.0", "the bundle");
  await r.publisher.publish();
  const found = await r.look();
  assert.deepEqual(found, {
    path: APP,
    lengthBytes: 10,
    sha256: target.hashes.sha256,
    custom: { version: "0.2.0" },
  });
  // A restart begins with what was trusted: only what is new is asked for.
  r.source.asked.length = 0;
  assert.deepEqual(await r.look(APP, r.reopen().trust), found);
  assert.deepEqual(r.source.asked, ["metadata/2.root.json", "metadata/timestamp.json"]);
});

Deno.test("keys below a role's threshold can publish nothing, not even for a box that asks", async () => {
  await using r = await rig();
  const [stolen] = r.publisher.app;
  await assert.rejects(r.publisher.release("0.2.0", "evil", [stolen!]), /1\/2/);
  await assert.rejects(r.publisher.release("0.2.0", "evil", [stolen!, memoryKey()]), /1\/2/);
  // The thief also holds the server with its online keys: all that is left to stop it is the box.
  const draft = r.publisher.repository.draftTargets("app", START_MS + DAY_MS, {});
  await addSignature(draft, stolen!);
  Deno.writeFileSync(join(r.publisher.folder, "metadata/2.app.json"), bytesOf(draft));
  await r.publisher.publish();
  await refuses("refused", r.look(), /app was signed by 1\/2 keys/);
});

Deno.test("a role speaks only for its own paths", async () => {
  await using r = await rig();
  const { repository, app } = r.publisher;
  const foreign = await repository.addFile("os/1/image.raucb", new Blob(["x"]).stream());
  await r.publisher.signApp(app.slice(0, 2), [foreign]);
  await r.publisher.publish();
  assert.equal(await r.look("os/1/image.raucb"), undefined);
});

Deno.test("rollback: an older timestamp or snapshot is refused, and what was trusted stays", async () => {
  await using r = await rig();
  const old = r.metadata("timestamp.json");
  await r.publisher.release("0.2.0", "new");
  await r.publisher.publish();
  assert.ok(await r.look());
  r.source.put("metadata/timestamp.json", old);
  await refuses("refused", r.look(), /version 1 is less than current version 2/);
  await refuses("refused", r.look(APP, r.reopen().trust), /less than current/);
  r.source.instead.clear();
  assert.ok(await r.look());
});

Deno.test("rollback by the online keys: a snapshot that takes a role back is refused", async () => {
  await using r = await rig();
  await r.publisher.release("0.2.0", "new");
  await r.publisher.publish();
  await r.publisher.release("0.2.1", "newer");
  await r.publisher.publish();
  assert.ok(await r.look("app/0.2.1/gatehouse.tar.zst"));
  // With both online keys stolen, the thief hides the newest version of the role.
  await Deno.remove(join(r.publisher.folder, "metadata/3.app.json"));
  await r.publisher.publish();
  await refuses("refused", r.look(), /less than current version 3/);
});

Deno.test("mix and match: files of different moments do not go together", async () => {
  await using r = await rig();
  await r.publisher.release("0.2.0", "new");
  await r.publisher.publish();
  r.source.put("metadata/2.snapshot.json", r.metadata("1.snapshot.json"));
  await refuses("refused", r.look());
  r.source.instead.clear();
  r.source.put("metadata/2.app.json", r.metadata("1.app.json"));
  await refuses("refused", r.look());
});

Deno.test("freeze: metadata that nobody renews is refused when its time is over", async () => {
  await using r = await rig();
  assert.equal(await r.look(), undefined);
  await r.clock.advance(DAY_MS + 1_000);
  await refuses("expired", r.look(), /set this box's clock right, otherwise/);
  r.publisher.nowMs = r.clock.wallMs();
  await r.publisher.publish();
  assert.equal(await r.look(), undefined);
});

Deno.test("freeze with the clock set back to 1970: the floor knows better, also after a restart", async () => {
  await using r = await rig();
  assert.equal(await r.look(), undefined);
  await r.clock.advance(3 * DAY_MS);
  r.floor.raise(r.clock.wallMs());
  r.clock.stepWall(-r.clock.wallMs());
  r.clock.setWallQuality("unsynchronised");
  assert.equal(r.clock.wallMs(), 0);
  await refuses("expired", r.look());
  await refuses("expired", r.look(APP, r.reopen().trust));
  // A forged time server makes it look disciplined: still not before the floor.
  r.clock.setWallQuality("synchronised");
  await refuses("expired", r.look(APP, r.reopen().trust));
});

Deno.test("a clock at 2099: undisciplined it is not believed, disciplined it stops updates only while it lasts", async () => {
  await using r = await rig({ wallMs: Date.UTC(2099, 0, 1), wallQuality: "unsynchronised" });
  assert.equal(await r.look(), undefined);
  r.clock.setWallQuality("synchronised");
  await refuses("expired", r.look(), /2099-01-01/);
  // The floor was not dragged along: once the clock is right, everything goes on.
  r.clock.stepWall(START_MS - r.clock.wallMs());
  assert.equal(await r.look(APP, r.reopen().trust), undefined);
});

Deno.test("endless data and a wrong length end at the bound", async () => {
  await using r = await rig();
  let sent = 0;
  const endless = answering((controller) => {
    sent += 1_024;
    controller.enqueue(new Uint8Array(1_024).fill(0x20));
  });
  r.source.instead.set("metadata/timestamp.json", endless);
  await refuses("too-large", r.look(), /timestamp\.json: more than 16384 bytes/);
  assert.ok(sent < 64 << 10, `${sent} bytes were taken`);
  r.source.instead.clear();
  await r.publisher.release("0.2.0", "new");
  await r.publisher.publish();
  const snapshot = r.metadata("2.snapshot.json");
  r.source.put("metadata/2.snapshot.json", new Uint8Array([...snapshot, 0x20]));
  await refuses("too-large", r.look(), new RegExp(`more than ${snapshot.length} bytes`));
});

Deno.test("slow retrieval: silence and a trickle are both given up", async () => {
  await using r = await rig();
  let aborted = false;
  r.source.instead.set("metadata/timestamp.json", (signal) => {
    signal.addEventListener("abort", () => aborted = true);
    return new Promise(() => {});
  });
  const silent = refuses("too-slow", r.look(), /given up after 20 s/);
  await r.clock.advance(21_000);
  await silent;
  assert.ok(aborted, "the source is told");
  const dripping = answering(async (controller) => {
    await r.clock.sleep(15_000, never);
    controller.enqueue(Uint8Array.of(0x20));
  });
  r.source.instead.set("metadata/timestamp.json", dripping);
  const trickle = refuses("too-slow", r.look(), /given up after 120 s/);
  for (let i = 0; i < 10; i++) await r.clock.advance(15_000);
  await trickle;
});

Deno.test("a delegation to a role that has signed nothing is not published, nor followed blindly", async () => {
  await using r = await rig();
  await Deno.remove(join(r.publisher.folder, "metadata/1.app.json"));
  await assert.rejects(r.publisher.publish(), /app has signed nothing yet/);
  r.source.put("metadata/1.app.json", new Uint8Array());
  await refuses("refused", r.look());
});

Deno.test("an abort ends a look at once, with its own reason", async () => {
  await using r = await rig();
  r.source.instead.set("metadata/timestamp.json", () => new Promise(() => {}));
  const stop = new AbortController();
  const looking = r.trust.look(stop.signal, (view) => view.target(APP));
  stop.abort(new Error("the box stops"));
  await assert.rejects(looking, /the box stops/);
});

Deno.test("root rotates with the old and the new keys; a key that was lost is replaced", async () => {
  await using r = await rig();
  assert.equal(await r.look(), undefined);
  const [a, b, lost] = r.publisher.root;
  const fresh = memoryKey();
  r.publisher.root = [a!, b!, fresh];
  await assert.rejects(r.publisher.newRoot([a!, fresh]), /present root's keys have not signed/);
  await r.publisher.newRoot([a!, b!, fresh]);
  r.publisher.root = [a!, fresh, memoryKey()];
  // The lost key no longer counts: with it there is one signature where two are wanted.
  await assert.rejects(r.publisher.newRoot([a!, lost!]), /have not signed/);
  await r.publisher.newRoot([a!, fresh]);
  await r.publisher.release("0.2.0", "new");
  await r.publisher.publish();
  assert.ok(await r.look());
  // A box that missed every version in between walks through them.
  const far = r.source.asked.filter((path) => path.endsWith("root.json"));
  assert.deepEqual(far.slice(-3), [
    "metadata/2.root.json",
    "metadata/3.root.json",
    "metadata/4.root.json",
  ]);
});

Deno.test("a root that skips a version or is signed by strangers is refused", async () => {
  await using r = await rig();
  const { publisher } = r;
  publisher.root = [memoryKey(), memoryKey(), memoryKey()];
  const strangers = await Publisher.begin(join(r.dir, "../strangers"), START_MS);
  r.source.put("metadata/2.root.json", strangers.rootBytes());
  await refuses("refused", r.look());
  r.source.put("metadata/2.root.json", r.metadata("1.root.json"));
  await refuses("refused", r.look(), /version/i);
});

Deno.test("fast-forward: a stolen online key that used up the versions is outlived by a new root", async () => {
  await using r = await rig();
  assert.equal(await r.look(), undefined);
  // The thief publishes a timestamp of version two thousand million.
  const forged = r.publisher.repository.newest("timestamp")!;
  const { signed } = forged;
  Object.assign(signed, { version: 2_000_000_000 });
  await addSignature(forged, r.publisher.timestamp);
  r.source.put("metadata/timestamp.json", bytesOf(forged));
  assert.equal(await r.look(), undefined);
  r.source.instead.clear();
  await refuses("refused", r.look(), /less than current version 2000000000/);
  // New online keys by a new root: what the old ones said is forgotten.
  r.publisher.timestamp = memoryKey();
  r.publisher.snapshot = memoryKey();
  await r.publisher.newRoot(r.publisher.root.slice(0, 2));
  await r.publisher.release("0.2.0", "new");
  await r.publisher.publish();
  assert.ok(await r.look());
});

Deno.test("a stolen online key alone can install nothing new", async () => {
  await using r = await rig();
  const thief = r.publisher;
  thief.app = [memoryKey(), memoryKey()];
  const draft = thief.repository.draftTargets("app", START_MS + DAY_MS, {
    add: [await thief.repository.addFile(APP, new Blob(["evil"]).stream())],
  });
  for (const key of thief.app) await addSignature(draft, key);
  Deno.writeFileSync(join(thief.folder, "metadata/2.app.json"), bytesOf(draft));
  await thief.publish();
  await refuses("refused", r.look(), /app was signed by 0\/2 keys/);
});

Deno.test("garbage in place of any file is refused, and the store is whole afterwards", async () => {
  await using r = await rig();
  await r.publisher.release("0.2.0", "new");
  await r.publisher.publish();
  const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
  console.log(`seed ${seed}`);
  let state = seed;
  const random = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    // The low bits of such a generator alternate.
    return Math.floor(state / 2 ** 32 * below);
  };
  for (const name of ["timestamp.json", "2.snapshot.json", "1.targets.json", "2.app.json"]) {
    for (let round = 0; round < 25; round++) {
      const bytes = r.metadata(name);
      for (let i = 0; i <= random(8); i++) bytes[random(bytes.length)] = random(256);
      const cut = random(4) === 0 ? bytes.subarray(0, random(bytes.length)) : bytes;
      r.source.put(`metadata/${name}`, cut);
      const dir = join(r.dir, `../garbage-${name}-${round}`);
      const root = r.publisher.read("metadata/1.root.json");
      const { source, clock, floor } = r;
      const fresh = new UpdateTrust({ dir, root, source, clock, floor });
      // What changes nothing that is signed (white space) may pass; what passes is the release itself.
      const found = await r.look(APP, fresh).catch((error) => {
        assert.ok(error instanceof TrustError, `${error.stack}`);
      });
      assert.ok(found === undefined || found.custom.version === "0.2.0");
      r.source.instead.clear();
      assert.ok(await r.look(APP, fresh), `after ${name} was spoilt`);
    }
  }
});

Deno.test("a spoilt or missing store begins anew at the program's root", async () => {
  await using r = await rig();
  await r.publisher.release("0.2.0", "new");
  await r.publisher.publish();
  assert.ok(await r.look());
  const files = ["root.json", "timestamp.json", "snapshot.json", "targets.json", "app.json"];
  for (const name of files) {
    for (const content of ["", "{", "null", '{"signed":{"version":9},"signatures":[]}']) {
      Deno.writeTextFileSync(
        join(r.dir, Deno.readTextFileSync(join(r.dir, "current")), name),
        content,
      );
      assert.ok(await r.look(APP, r.reopen().trust), `${name}: ${content}`);
    }
  }
  Deno.removeSync(r.dir, { recursive: true });
  assert.ok(await r.look(APP, r.reopen().trust));
});

Deno.test("nothing is written while nothing changes", async () => {
  await using r = await rig();
  assert.equal(await r.look(), undefined);
  const before = Deno.readTextFileSync(join(r.dir, "current"));
  for (let i = 0; i < 5; i++) assert.equal(await r.look(), undefined);
  assert.equal(Deno.readTextFileSync(join(r.dir, "current")), before);
  assert.equal([...Deno.readDirSync(r.dir)].length, 2);
});

Deno.test("an assignment: signed, for this box, newer, and only of what the repository names", async () => {
  await using r = await rig();
  const target = await r.publisher.release("0.2.0", "new");
  await r.publisher.publish();
  const expiresMs = START_MS + DAY_MS;
  const key = r.publisher.assign;
  const assign = async (
    version: number,
    options: { box?: string; targets?: TargetFile[]; keys?: typeof key[]; expiresMs?: number } = {},
  ) => {
    const { box = "box-1", targets = [target], keys = [key] } = options;
    const plan = { boxId: box, version, expiresMs: options.expiresMs ?? expiresMs, targets };
    const bytes = await signAssignment(plan, keys);
    return () => r.trust.look(never, (view) => view.assignment("assign-north", "box-1", bytes));
  };
  const second = await assign(2);
  assert.deepEqual((await second()).targets.map(({ path }) => path), [APP]);
  assert.equal((await second()).version, 2);
  await refuses("refused", (await assign(1))(), /version 1 is older than 2/);
  await refuses("refused", (await assign(2, { targets: [] }))(), /two versions 2/);
  await refuses("refused", (await assign(3, { box: "box-2" }))(), /another box's/);
  await refuses("refused", (await assign(3, { keys: [memoryKey()] }))(), /0\/1/);
  await refuses("refused", (await assign(3, { keys: [r.publisher.timestamp] }))(), /0\/1/);
  await refuses("expired", (await assign(3, { expiresMs: START_MS - 1_000 }))());
  const evil = await r.publisher.repository.addFile(APP, new Blob(["evil"]).stream());
  await refuses("refused", (await assign(3, { targets: [evil] }))(), /another file/);
  const other = await r.publisher.repository.addFile("app/9/x", new Blob(["x"]).stream());
  await refuses("refused", (await assign(3, { targets: [other] }))(), /not in the repository/);
  await refuses(
    "too-large",
    r.trust.look(never, (v) => v.assignment("assign-north", "box-1", new Uint8Array(65_537))),
  );
  for (const bad of ["", "{}", "[]", '{"signed":{"_type":"targets"},"signatures":[]}']) {
    const bytes = new TextEncoder().encode(bad);
    await refuses(
      "refused",
      r.trust.look(never, (v) => v.assignment("assign-north", "box-1", bytes)),
    );
  }
  assert.equal((await (await assign(3, { targets: [] }))()).targets.length, 0);
});
