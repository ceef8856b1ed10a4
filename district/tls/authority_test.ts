import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { serverCertificate } from "./authority.ts";

const NOW_MS = Date.parse("2026-11-24T00:00:00Z");
const DAY_MS = 24 * 3600 * 1000;

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "district-tls-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const HOSTS = ["localhost", "127.0.0.1", "::1", "gate.example.cn", "fd00::12:3"];

Deno.test("CA and leaf are two, valid for a box whose clock is behind", async () => {
  await withFolder(async (folder) => {
    const { certPem, caPem } = await serverCertificate(folder, HOSTS, NOW_MS);
    const [leaf, ca] = [new X509Certificate(certPem), new X509Certificate(caPem)];
    assert.equal(ca.ca, true);
    assert.equal(leaf.ca, false);
    assert.equal(leaf.verify(ca.publicKey), true);
    assert.equal(Date.parse(ca.validTo), Date.parse("9999-12-31T23:59:59Z"));
    assert.ok(Date.parse(ca.validFrom) <= Date.parse("2000-01-01T00:00:00Z"));
    assert.ok(Date.parse(leaf.validFrom) <= Date.parse("2000-01-01T00:00:00Z"));
    assert.ok(Date.parse(leaf.validTo) - NOW_MS <= 825 * DAY_MS);
    assert.equal(leaf.checkHost("gate.example.cn"), "gate.example.cn");
    for (const file of ["ca.pem", "tls.pem"]) {
      assert.equal((await Deno.stat(`${folder}/${file}`)).mode! & 0o777, 0o600);
    }
  });
});

Deno.test("the CA stays; the leaf is made anew for a new host and near its end only", async () => {
  await withFolder(async (folder) => {
    const first = await serverCertificate(folder, HOSTS, NOW_MS);
    assert.deepEqual(await serverCertificate(folder, HOSTS, NOW_MS + 500 * DAY_MS), first);
    assert.deepEqual(await serverCertificate(folder, HOSTS.slice(2), NOW_MS), first);
    const host = await serverCertificate(folder, [...HOSTS, "10.0.0.7"], NOW_MS);
    assert.notEqual(host.certPem, first.certPem);
    assert.equal(host.caPem, first.caPem);
    const late = await serverCertificate(folder, HOSTS, NOW_MS + 700 * DAY_MS);
    assert.notEqual(late.certPem, host.certPem);
    assert.equal(late.caPem, first.caPem);
  });
});

Deno.test("a spoilt file is told, not replaced: boxes pin what it held", async () => {
  await withFolder(async (folder) => {
    await serverCertificate(folder, HOSTS, NOW_MS);
    await Deno.writeTextFile(`${folder}/ca.pem`, "-----BEGIN CERTIFICATE-----\n");
    await assert.rejects(serverCertificate(folder, HOSTS, NOW_MS), {
      name: "DistrictError",
      kind: "data",
    });
  });
});
