/**
 * The first start of a card, on this machine: `gatehouse setup` and `gatehouse enrol --from` as its units
 * run them, with a district that is reached only later.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Program, runProgram } from "../../demo/program.ts";
import { linuxClock } from "../../hal/linux/mod.ts";
import { parseSetup, renderSetup, type Setup, SETUP_BYTES } from "../../runtime/setup/mod.ts";

const clock = linuxClock();
const WPA = "/usr/sbin/wpa_supplicant";
const NO_WPA = await Deno.stat(WPA).then(() => false, () => true);
if (NO_WPA) console.log("skipped: wpa_supplicant's own reading: wpasupplicant is not installed");

const SETUP: Setup = {
  box: { name: "east-gate", school: "第一中学" },
  network: { address: "10.1.2.3/24", gateway: "10.1.2.1", proxy: "http://proxy.example:3128" },
  district: { url: "https://district.example:8443", token: "secret-token-1" },
  config: "box: { name: east-gate }\n",
};

async function bench() {
  const folder = await Deno.makeTempDir({ prefix: "setup-" });
  const at = (name: string) => join(folder, name);
  return {
    at,
    read: (name: string) => Deno.readTextFile(at(name)),
    apply: () =>
      runProgram(["setup", "--out", at("run"), "--config", at("box.yaml"), at("setup.yaml")]),
    async [Symbol.asyncDispose]() {
      await Deno.remove(folder, { recursive: true });
    },
  };
}

Deno.test("settings are applied at each start; a box.yaml that is there is left alone", async () => {
  await using b = await bench();
  await Deno.mkdir(b.at("run"));
  await Deno.writeFile(b.at("setup.yaml"), renderSetup(SETUP));
  const first = await b.apply();
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /this is east-gate, 第一中学/);
  assert.equal(await b.read("run/gatehouse-setup/hostname"), "east-gate\n");
  assert.match(await b.read("run/systemd/network/70-setup.network"), /Address=10\.1\.2\.3\/24/);
  const order = JSON.parse(await b.read("run/gatehouse-setup/enrol.json"));
  assert.deepEqual(order, { name: "east-gate", ...SETUP.district });
  const { mode } = await Deno.stat(b.at("run/gatehouse-setup/enrol.json"));
  assert.equal(mode! & 0o007, 0, "anybody can read the token");
  assert.equal(await b.read("box.yaml"), SETUP.config);
  await Deno.writeTextFile(b.at("box.yaml"), "mended by hand");
  assert.equal((await b.apply()).code, 0);
  assert.equal(await b.read("box.yaml"), "mended by hand");
});

Deno.test("a token that was used leaves the card, in place; everything else stays", async () => {
  await using b = await bench();
  await Deno.writeFile(b.at("setup.yaml"), renderSetup(SETUP));
  for (let times = 0; times < 2; times++) {
    const { code, stderr } = await runProgram(["setup", "--forget-token", b.at("setup.yaml")]);
    assert.equal(code, 0, stderr);
    const bytes = await Deno.readFile(b.at("setup.yaml"));
    assert.equal(bytes.length, SETUP_BYTES);
    const text = new TextDecoder().decode(bytes);
    assert.doesNotMatch(text, /secret-token-1/);
    const { district, ...rest } = parseSetup(text, "s")!;
    assert.deepEqual(district, { url: SETUP.district!.url });
    const { district: _, ...wanted } = SETUP;
    assert.deepEqual(rest, wanted);
  }
});

Deno.test("settings that are none are refused with what to do, and nothing is written", async () => {
  const bad: Readonly<Record<string, readonly [Uint8Array, RegExp]>> = {
    "not UTF-8": [Uint8Array.of(0x62, 0xff, 0xfe), /cannot be read/],
    "too long": [new Uint8Array(SETUP_BYTES + 1).fill(0x20), /more than|delete the spaces/],
    "no YAML": [new TextEncoder().encode("box: [name: secret"), /not YAML/],
    "a wrong field": [new TextEncoder().encode("box: { name: a }\nwifi: secret"), /wifi/],
  };
  for (const [name, [bytes, why]] of Object.entries(bad)) {
    await using b = await bench();
    await Deno.mkdir(b.at("run"));
    await Deno.writeFile(b.at("setup.yaml"), bytes);
    const { code, stderr } = await b.apply();
    assert.equal(code, 3, name);
    assert.match(stderr, why, name);
    assert.doesNotMatch(stderr, /secret/, name);
    assert.deepEqual([...Deno.readDirSync(b.at("run"))], [], name);
  }
  await using b = await bench();
  await Deno.mkdir(b.at("run"));
  await Deno.writeFile(b.at("setup.yaml"), renderSetup(undefined));
  const { code, stdout } = await b.apply();
  assert.deepEqual([code, /no settings/.test(stdout)], [0, true]);
});

Deno.test("an order to enrol that is none is refused, and never shown", async () => {
  await using b = await bench();
  for (const text of ["", "{", '{"url":"https://x","token":5,"name":"a"}', "x".repeat(9_000)]) {
    await Deno.writeTextFile(b.at("order.json"), text);
    const { code, stderr } = await runProgram([
      ...["enrol", "--from", b.at("order.json"), "--data", b.at("data")],
    ]);
    assert.equal(code, 2, text.slice(0, 40));
    assert.match(stderr, /is no order to enrol/);
    assert.doesNotMatch(stderr, /https:\/\/x|xxxx/);
  }
});

Deno.test("a district that is reached only later is waited for; a token is good for once", async () => {
  await using b = await bench();
  const data = b.at("district");
  const start = (listen: string) =>
    new Program(["district", "--data", data, "--listen", listen, "--json"], clock);
  let url: string;
  {
    await using district = start("127.0.0.1:0");
    url = String((await district.findJson({}))["url"]);
  }
  const { stdout } = await runProgram(["district", "token", "--data", data, "--json"]);
  const order = { url, token: JSON.parse(stdout).token, name: "east-gate" };
  await Deno.writeTextFile(b.at("order.json"), JSON.stringify(order));
  const enrol = (box: string) => ["enrol", "--from", b.at("order.json"), "--data", b.at(box)];
  await using box = new Program(enrol("box"), clock);
  await box.find((line) => /asks again in/.test(line) ? line : undefined);
  await using _district = start(new URL(url).host);
  await box.find((line) => /enrolled as bx-/.test(line) ? line : undefined, 60_000);
  assert.equal((await box.status).code, 0);
  assert.ok((await Deno.stat(b.at("box/identity/district.json"))).size > 0);
  const second = await runProgram(enrol("other"));
  assert.equal(second.code, 3, second.stderr);
  assert.match(second.stderr, /token/);
});

Deno.test({
  name: "wpa_supplicant reads what is written for it, and nothing that was planted",
  ignore: NO_WPA,
  async fn() {
    const login = { identity: "box", password: 'p"}\\'.repeat(3) };
    const networks: Readonly<Record<string, Setup["network"]>> = {
      "wifi.conf": { wifi: { ssid: 'Lehrer "5"', country: "CN", passphrase: 'a "b" \\\\ {c} #d' } },
      "wired.conf": { login },
    };
    const reads = async (file: string) => {
      const args = ["-c", file, "-i", "lo", "-D", "none", "-t", "-d"];
      const child = new Deno.Command("timeout", {
        args: ["2", WPA, ...args],
        stdout: "piped",
        stderr: "piped",
      });
      const { stdout } = await child.output();
      return new TextDecoder().decode(stdout);
    };
    for (const [name, network] of Object.entries(networks)) {
      await using b = await bench();
      await Deno.mkdir(b.at("run"));
      await Deno.writeFile(b.at("setup.yaml"), renderSetup({ box: SETUP.box, network }));
      assert.equal((await b.apply()).code, 0);
      const file = b.at(`run/gatehouse-setup/${name}`);
      const said = await reads(file);
      assert.match(said, /Priority group 0/, said.slice(-500));
      assert.doesNotMatch(said, /Line \d+:|Failed to read/, name);
      // It does say so when a line is no good.
      await Deno.writeTextFile(
        file,
        (await Deno.readTextFile(file)).replace("network={", "network={\n  nonsense=1"),
      );
      assert.match(await reads(file), /Line \d+:/, name);
    }
  },
});
