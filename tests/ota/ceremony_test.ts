/**
 * A key ceremony, a release, a rotation and a lost key with the publisher's own program, as the guide
 * has them; and a box that believes the result.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { ROOT } from "../../demo/program.ts";
import { linuxClock } from "../../hal/linux/mod.ts";
import { FolderSource } from "../../ota/testing/mod.ts";
import { TimeFloor, UpdateTrust } from "../../ota/trust/mod.ts";

const clock = linuxClock();
const never = new AbortController().signal;
const NAMES = ["r1", "r2", "r3", "t1", "t2", "a1", "a2", "snapshot", "timestamp", "assign"];

const HSM = "/usr/lib/softhsm/libsofthsm2.so";
const noTokens = exists(HSM) ? undefined : "not installed: softhsm2, opensc";
if (noTokens !== undefined) console.log(`skipped: keys in tokens: ${noTokens}`);

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** A publisher's desk. With `tokens`, the keys of root are in tokens of SoftHSM2, a token a holder. */
async function desk(tokens = false) {
  const folder = await Deno.makeTempDir({ prefix: "gatehouse-ceremony-" });
  const repo = join(folder, "repo");
  const inToken = (name: string) => tokens && name.startsWith("r");
  const keyOf = (name: string) =>
    inToken(name) ? `pkcs11:token=${name};object=root%20key?module-path=${HSM}` : `${name}.key`;
  const env = { SOFTHSM2_CONF: join(folder, "softhsm2.conf") };
  if (tokens) {
    await Deno.mkdir(join(folder, "tokens"));
    await Deno.writeTextFile(env.SOFTHSM2_CONF, `directories.tokendir = ${folder}/tokens\n`);
  }
  const ota = async (code: number, ...args: string[]) => {
    const output = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "--no-prompt", "--cached-only", `--config=${ROOT}/deno.json`],
        ...["--permission-set=ota", "--allow-read", "--allow-write", `${ROOT}/ota/main.ts`],
        ...args,
      ],
      cwd: folder,
      env,
      stdin: "null",
    }).output();
    const [out, said] = [output.stdout, output.stderr].map((b) => new TextDecoder().decode(b));
    assert.equal(output.code, code, `${args.join(" ")}\n${out}${said}`);
    return { out: out!.trim(), said: said!.trim() };
  };
  const publicOf: Record<string, string> = {};
  const newKey = async (name: string) => {
    const secret = `a passphrase of ${name}`;
    await Deno.writeTextFile(join(folder, `${name}.pass`), `${secret}\n`);
    if (inToken(name)) {
      const args = ["--init-token", "--free", "--label", name, "--so-pin", "0000", "--pin", secret];
      const { success } = await new Deno.Command("softhsm2-util", { args, env }).output();
      assert.ok(success, "no token could be made");
    }
    const { out } = await ota(0, "key", "new", keyOf(name), "--passphrase-file", `${name}.pass`);
    publicOf[name] = out;
  };
  const sign = async (draft: string, ...names: string[]) => {
    for (const name of names) {
      await ota(0, "sign", draft, "--key", keyOf(name), "--passphrase-file", `${name}.pass`);
    }
  };
  const plan = async (root: string[]) => {
    const keys = (names: string[]) => `[${names.map((name) => `"${publicOf[name]}"`).join(", ")}]`;
    await Deno.writeTextFile(
      join(folder, "plan.yaml"),
      `root: { threshold: 2, keys: ${keys(root)} }
targets: { threshold: 2, keys: ${keys(["t1", "t2"])} }
snapshot: { threshold: 1, keys: ${keys(["snapshot"])} }
timestamp: { threshold: 1, keys: ${keys(["timestamp"])} }
delegations:
  - { name: app, paths: ["app/*/*"], threshold: 2, keys: ${keys(["a1", "a2"])} }
  - { name: firmware-00068e-3, paths: ["firmware/00068e-3/*"], threshold: 1, keys: ${keys(["a1"])} }
  - { name: assign-north, paths: [], threshold: 1, keys: ${keys(["assign"])} }
`,
    );
  };
  return {
    folder,
    repo,
    ota,
    keyOf,
    newKey,
    sign,
    plan,
    publish: async () => {
      // The server's two keys have one passphrase file each; here they share one.
      await ota(
        0,
        ...["publish", "--repo", repo, "--snapshot-key", "snapshot.key"],
        ...["--timestamp-key", "timestamp.key", "--passphrase-file", "server.pass"],
      );
    },
    async [Symbol.asyncDispose]() {
      await Deno.remove(folder, { recursive: true });
    },
  };
}

Deno.test("a ceremony, a release, a rotation and a lost key: a box follows, and nothing is signed too seldom", () =>
  ceremony(false));

Deno.test({
  name: "the same with the keys of root in PKCS#11 tokens, which they never leave",
  ignore: noTokens !== undefined,
  fn: () => ceremony(true),
});

async function ceremony(tokens: boolean): Promise<void> {
  await using d = await desk(tokens);
  for (const name of NAMES) {
    if (name === "snapshot" || name === "timestamp") continue;
    await d.newKey(name);
  }
  // Two keys of the server under one passphrase.
  await Deno.writeTextFile(join(d.folder, "server.pass"), "the server's own passphrase\n");
  const servers: Record<string, string> = {};
  for (const name of ["snapshot", "timestamp"]) {
    const { out } = await d.ota(
      0,
      ...["key", "new", `${name}.key`, "--passphrase-file", "server.pass"],
    );
    servers[name] = out;
  }
  const shown = await d.ota(0, "key", "show", d.keyOf("r1"), "--passphrase-file", "r1.pass");
  assert.match(shown.out, tokens ? /^04[0-9a-f]{128}$/ : /^[0-9a-f]{64}$/);
  assert.match(
    (await d.ota(3, "key", "show", d.keyOf("r1"), "--passphrase-file", "r2.pass")).said,
    /is the (passphrase|PIN) right/,
  );
  assert.match(
    (await d.ota(3, "key", "new", d.keyOf("r1"), "--passphrase-file", "r1.pass")).said,
    /never overwritten/,
  );
  const plan = (root: string[]) =>
    d.plan(root).then(async () => {
      const path = join(d.folder, "plan.yaml");
      const text = await Deno.readTextFile(path);
      await Deno.writeTextFile(
        path,
        text.replace(/(snapshot|timestamp)(: .*)"undefined"/g, (_, name, rest) =>
          `${name}${rest}"${servers[name]}"`),
      );
    });
  await plan(["r1", "r2", "r3"]);

  const repo = ["--repo", d.repo];
  assert.match((await d.ota(1, "status", ...repo)).said, /there is no root yet/);
  const root1 = (await d.ota(0, "root", ...repo, "--plan", "plan.yaml")).out;
  await d.sign(root1, "r1");
  assert.match((await d.ota(3, "accept", root1, ...repo)).said, /have not signed it often enough/);
  // A key of another role does not count.
  await d.sign(root1, "t1");
  await d.ota(3, "accept", root1, ...repo);
  await d.sign(root1, "r3");
  await d.ota(0, "accept", root1, ...repo);

  const drafts = (await d.ota(0, "delegate", ...repo, "--plan", "plan.yaml")).out.split("\n");
  assert.equal(drafts.length, 3);
  await d.sign(drafts[0]!, "t1", "t2");
  await d.ota(0, "accept", drafts[0]!, ...repo);
  await d.sign(drafts[1]!, "a1", "a2");
  await d.ota(0, "accept", drafts[1]!, ...repo);
  await d.sign(drafts[2]!, "a1");
  await d.ota(0, "accept", drafts[2]!, ...repo);
  await d.publish();

  const shipped = await Deno.readFile(join(d.repo, "metadata/1.root.json"));
  const trust = () =>
    new UpdateTrust({
      dir: join(d.folder, "box"),
      root: shipped,
      source: new FolderSource(d.repo),
      clock,
      floor: new TimeFloor(join(d.folder, "floor"), 0, clock),
    });
  const look = (version: string) =>
    trust().look(never, (view) => view.target(`app/${version}/gatehouse-any.tar.zst`));
  assert.equal(await look("0.2.0"), undefined);

  const files = join(d.folder, "program");
  await Deno.mkdir(files);
  await Deno.writeFile(join(files, "big"), new Uint8Array(200_000).map((_, i) => i * i >>> 7));
  for (const version of ["0.2.0", "0.2.1"]) {
    await Deno.writeTextFile(join(files, "gatehouse"), `#!/bin/sh\necho ${version}\n`);
    const draft = (await d.ota(
      0,
      ...["release", ...repo, "--version", version, "--from", files],
    )).out;
    assert.match((await d.ota(3, "accept", draft, ...repo)).said, /often enough/);
    await d.sign(draft, "a1", "a2");
    await d.ota(0, "accept", draft, ...repo);
    await d.publish();
  }
  const target = await look("0.2.1");
  const custom = target!.custom as { deltas: { path: string }[] };
  assert.deepEqual(custom.deltas.map(({ path }) => path), ["app/0.2.1/any-from-0.2.0.zst"]);

  // Firmware for a model of readers, which another model's keys do not sign.
  await Deno.writeTextFile(join(d.folder, "maker.bin"), "firmware");
  const firmware = ["release", ...repo, "--reader-firmware", "maker.bin", "--version", "1.6.0"];
  const draft = (await d.ota(0, ...firmware, "--vendor", "00068E", "--model", "3")).out;
  await d.sign(draft, "a1");
  await d.ota(0, "accept", draft, ...repo);
  await d.publish();
  const path = "firmware/00068e-3/1.6.0.bin";
  const known = await trust().look(never, (view) => view.target(path));
  assert.deepEqual([known!.lengthBytes, known!.custom.model], [8, 3]);
  assert.match((await d.ota(2, ...firmware, "--vendor", "00068e")).said, /--model is missing/);
  const many = await d.ota(2, ...firmware, "--vendor", "00068e", "--model", "300");
  assert.match(many.said, /--model is a number from 0 to 255/);
  const two = await d.ota(2, ...firmware, "--from", files);
  assert.match(two.said, /one of --from, --bundle/);
  const vendor = await d.ota(3, ...firmware, "--vendor", "acme", "--model", "3");
  assert.match(vendor.said, /vendor: expected an OUI of six hex digits/);

  // Configurations, of which this publisher has nobody who signs.
  await Deno.mkdir(join(d.folder, "boxes"));
  const boxes = ["release", ...repo, "--configurations", "boxes", "--version", "2.0.0"];
  assert.match((await d.ota(3, ...boxes)).said, /no ID\.yaml is there/);
  await Deno.writeTextFile(join(d.folder, "boxes/bx 1.yaml"), "box: {}");
  assert.match((await d.ota(3, ...boxes)).said, /expected the id of a box/);

  // Settings of a policy, of which nobody signs either: faults are found before anybody could.
  const settings = ["release", ...repo, "--settings", "settings.yaml", "--version", "2.0.0"];
  await Deno.writeTextFile(
    join(d.folder, "settings.yaml"),
    "{ holidays: [], schedules: [], accessLevels: [{ id: a, name: a, grants: [{ doors: [main], schedule: day }] }] }",
  );
  assert.match((await d.ota(2, ...settings)).said, /--district is missing/);
  const north = await d.ota(3, ...settings, "--district", "north");
  assert.match(north.said, /settings\.yaml: .*names the schedule day, which does not exist/);
  await Deno.writeTextFile(join(d.folder, "settings.yaml"), "holidays: [");
  assert.match((await d.ota(3, ...settings, "--district", "north")).said, /settings\.yaml: /);
  await Deno.writeTextFile(
    join(d.folder, "settings.yaml"),
    "{ holidays: [], schedules: [], accessLevels: [] }",
  );
  const place = await d.ota(3, ...settings, "--district", "../x");
  assert.match(place.said, /district: expected a district such as north/);

  // A key is lost: those that are left put another in its place, and a box that was away follows.
  await d.newKey("r4");
  await plan(["r1", "r2", "r4"]);
  const root2 = (await d.ota(0, "root", ...repo, "--plan", "plan.yaml")).out;
  await d.sign(root2, "r4", "r1");
  assert.match((await d.ota(3, "accept", root2, ...repo)).said, /present root's/);
  await d.sign(root2, "r2");
  await d.ota(0, "accept", root2, ...repo);
  await d.publish();
  assert.ok(await look("0.2.0"));
  const rows = JSON.parse((await d.ota(0, "status", ...repo, "--json")).out);
  assert.deepEqual(
    rows.map(({ role, version }: { role: string; version: number }) => `${role} ${version}`),
    [
      ...["root 2", "targets 1", "snapshot 5", "timestamp 5", "app 3", "firmware-00068e-3 2"],
      "assign-north 0",
    ],
  );
  if (!tokens) return;
  const gone = d.keyOf("r9");
  await Deno.writeTextFile(join(d.folder, "r9.pass"), "0000\n");
  assert.match(
    (await d.ota(3, "key", "show", gone, "--passphrase-file", "r9.pass")).said,
    /no key of that name, or is not there/,
  );
}

Deno.test("bad plans, drafts and command lines are refused with what to do", async () => {
  await using d = await desk();
  const repo = ["--repo", d.repo];
  const plans: [string, RegExp][] = [
    ["", /root|the file/],
    ["root: { threshold: 2, keys: [abc] }", /targets|keys|64 hex/],
    ["a: &a [*a]", /plan\.yaml/],
    ["root: [", /plan\.yaml/],
    ["x".repeat(70_000), /more than/],
  ];
  for (const [text, says] of plans) {
    await Deno.writeTextFile(join(d.folder, "plan.yaml"), text);
    const { said } = await d.ota(3, "root", ...repo, "--plan", "plan.yaml");
    assert.match(said, says, text.slice(0, 40));
  }
  await Deno.writeTextFile(join(d.folder, "draft.json"), '{"role":"root","metadata":{}}');
  assert.match((await d.ota(3, "accept", "draft.json", ...repo)).said, /is no draft/);
  assert.match((await d.ota(2, "accept", ...repo)).said, /expected one DRAFT/);
  assert.match((await d.ota(2, "fly")).said, /no command fly/);
  await Deno.writeTextFile(join(d.folder, "short.pass"), "short\n");
  assert.match(
    (await d.ota(3, "key", "new", "x.key", "--passphrase-file", "short.pass")).said,
    /at least 12 characters/,
  );
});
