import assert from "node:assert/strict";
import { parseSetup, renderSetup, type Setup, SETUP_BYTES, SetupError, setupFiles } from "./mod.ts";

const WHOLE: Setup = {
  box: { name: "east-gate", school: "第一中学" },
  network: {
    ...{ address: "10.1.2.3/24", gateway: "10.1.2.1", dns: ["10.1.0.1"], ntp: ["ntp.local"] },
    proxy: "http://proxy.school.example:3128",
    wifi: { ssid: 'Lehrer "5"', country: "CN" },
    login: { identity: "box", password: 'p"}\nnetwork={'.replace("\n", "") },
  },
  district: { url: "https://district.example:8443", token: "gh1.abcdefgh-12345678" },
  config: "box: { name: east-gate }\n",
};

Deno.test("settings are read as they were written, in their own length", () => {
  const bytes = renderSetup(WHOLE);
  assert.equal(bytes.length, SETUP_BYTES);
  assert.deepEqual(parseSetup(new TextDecoder().decode(bytes), "s"), WHOLE);
  assert.equal(parseSetup(new TextDecoder().decode(renderSetup(undefined)), "s"), undefined);
});

Deno.test("what is wrong is named by its field, and no value is shown", () => {
  const bad: readonly (readonly [string, RegExp])[] = [
    ["box: {}", /box.name: this field is missing/],
    ["box: { name: East Gate }", /box.name: expected a name of a-z/],
    ["box: { name: a }\nnetwork: { address: 10.1.2.3 }", /network.address: .*10\.1\.2\.3\/24/],
    ["box: { name: a }\nnetwork: { address: 10.1.2.3/33 }", /network.address/],
    ["box: { name: a }\nnetwork: { gateway: 10.1.2.1 }", /network.gateway: it goes with/],
    [
      "box: { name: a }\nnetwork: { wifi: { ssid: s, country: CN, passphrase: hunter2 } }",
      /8 to 63/,
    ],
    ["box: { name: a }\nnetwork: { nts: { servers: [] } }", /network.nts.servers: .*at least 1/],
    ["box: { name: a }\nnetwork: { nts: { servers: ['a b'] } }", /network.nts.servers.0/],
    [
      "box: { name: a }\nnetwork: { nts: { servers: [a], ca: hunter2 } }",
      /network.nts.ca: expected a certificate/,
    ],
    ["box: { name: a }\nnetwork: { ntp: [a], nts: { servers: [b] } }", /network.ntp: .*remove one/],
    ["box: { name: a }\nnetwork: { proxy: 'ftp://x' }", /network.proxy/],
    ["box: { name: a }\ndistrict: { url: 'http://hunter2' }", /district.url.*https/],
    [
      "box: { name: a }\ndistrict: { url: 'https://x', token: 'hunter2 hunter2' }",
      /district.token/,
    ],
    ['box: { name: a }\nnetwork: { wifi: { ssid: "hunter2\\nkey", country: CN } }', /one line/],
    ["box: { name: a }\nhunter2: 1", /not known/],
    ["hunter2", /the file|box/],
    ["box: [hunter2", /not YAML/],
    [
      `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [${"*a,".repeat(9)}]\nc: [${"*b,".repeat(9)}]`,
      /not YAML|not known|missing/,
    ],
    [`# ${"x".repeat(SETUP_BYTES)}`, /more than/],
  ];
  for (const [text, why] of bad) {
    assert.throws(() => parseSetup(text, "s"), (error: Error) => {
      assert.ok(error instanceof SetupError, `${text}: ${error.stack}`);
      assert.match(error.message, why, text);
      assert.doesNotMatch(error.message, /hunter2(?!: this)/, text);
      return true;
    });
  }
  assert.throws(() => renderSetup({ ...WHOLE, config: "x".repeat(SETUP_BYTES) }), SetupError);
});

Deno.test("settings become the files of networkd, wpa_supplicant and the box", () => {
  const files = new Map(setupFiles(WHOLE).map((file) => [file.path, file]));
  const network = files.get("systemd/network/70-setup.network")!.text;
  assert.match(
    network,
    /^\[Match\]\nType=wlan\n\n\[Network\]\nMulticastDNS=yes\nAddress=10\.1\.2\.3\/24\nGateway=10\.1\.2\.1\nDNS=10\.1\.0\.1\nNTP=ntp\.local\n/,
  );
  const wifi = files.get("gatehouse-setup/wifi.conf")!;
  // Quotes and braces of a password end nothing: strings are in hex.
  assert.match(wifi.text, /ssid=4c656872657220223522\n/);
  assert.match(wifi.text, /key_mgmt=WPA-EAP\n[^"]*password=[0-9a-f]+\n/);
  assert.equal(wifi.text.match(/network=\{/g)!.length, 1);
  assert.equal(files.has("gatehouse-setup/wired.conf"), false);
  for (const name of ["wifi.conf", "environment", "enrol.json"]) {
    assert.equal(files.get(`gatehouse-setup/${name}`)!.secret, true, name);
  }
  const plain = setupFiles({ box: { name: "a" }, network: {} });
  assert.deepEqual(plain.map(({ path }) => path), [
    "gatehouse-setup/hostname",
    "systemd/network/70-setup.network",
  ]);
  assert.match(plain[1]!.text, /Type=ether\n[^]*DHCP=yes/);
  const ca = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
  const timed = new Map(
    setupFiles({
      box: { name: "a" },
      network: { nts: { servers: ["t1.example", "10.1.0.1"], ca } },
    })
      .map(({ path, text }) => [path.replace("gatehouse-nts/", ""), text]),
  );
  assert.equal(timed.get("servers"), "t1.example\n10.1.0.1\n");
  assert.equal(timed.get("ca.pem"), ca);
  assert.match(
    timed.get("nts.conf")!,
    /^ntstrustedcerts \/run\/gatehouse-nts\/ca\.pem\n$/,
  );
  const wired = setupFiles({
    box: { name: "a" },
    network: { login: { identity: "box", password: "secret" } },
  }).find(({ path }) => path.endsWith("wired.conf"))!;
  assert.match(wired.text, /key_mgmt=IEEE8021X\n/);
});
