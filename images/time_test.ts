/** The image's `time`, as its units call it. */
import assert from "node:assert/strict";
import { join } from "node:path";

const PROGRAM = new URL("./rootfs/usr/lib/gatehouse-start/time", import.meta.url).pathname;

/** What chrony is told, for servers of NTS as the settings name them and what networkd says. */
async function sources(nts: string | undefined, network: string | undefined): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "time-" });
  try {
    const at = (name: string) => join(folder, name);
    if (nts !== undefined) await Deno.writeTextFile(at("servers"), nts);
    if (network !== undefined) await Deno.writeTextFile(at("state"), network);
    const env = {
      GATEHOUSE_TIME_NTS: at("servers"),
      GATEHOUSE_TIME_NETWORK: at("state"),
      GATEHOUSE_TIME_OUT: folder,
    };
    const { code, stderr } = await new Deno.Command(PROGRAM, { args: ["sources"], env }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    return await Deno.readTextFile(at("gatehouse.sources"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const POOL = "pool 2.debian.pool.ntp.org iburst\n";

Deno.test("servers of NTS are asked and no others; else the network's; else Debian's", async () => {
  const network = "OPER_STATE=routable\nDNS=10.1.0.1\nNTP=10.1.0.1 time.local fe80::1\nDOMAINS=\n";
  assert.equal(
    await sources("t1.example\nt2.example\n", network),
    "server t1.example iburst nts\nserver t2.example iburst nts\n",
  );
  const asked = "server 10.1.0.1 iburst\nserver time.local iburst\nserver fe80::1 iburst\n";
  assert.equal(await sources(undefined, network), asked);
  assert.equal(await sources("", network), asked);
  assert.equal(await sources(undefined, "NTP=\n"), POOL);
  assert.equal(await sources(undefined, undefined), POOL);
});

Deno.test("what a network names is no line of a configuration", async () => {
  assert.equal(await sources(undefined, "NTP=$(id) -x a;b 10.1.0.1\n"), "server 10.1.0.1 iburst\n");
  assert.equal(await sources(undefined, "NTP=`id` ../x\n"), POOL);
});

Deno.test("the time of the last run is kept by saving, and nothing is loaded that is past", async () => {
  const folder = await Deno.makeTempDir({ prefix: "time-" });
  try {
    const call = async (...args: string[]) =>
      await new Deno.Command(PROGRAM, { args, env: { GATEHOUSE_TIME_DATA: folder } }).output();
    const file = join(folder, "clock");
    // Without a file, and with one of the past, the clock is left alone: setting it would be seen here.
    assert.equal((await call("load")).code, 0);
    assert.equal((await call("save")).code, 0);
    const now = Date.now();
    assert.ok(Math.abs((await Deno.stat(file)).mtime!.getTime() - now) < 60_000);
    await Deno.utime(file, 1, 1);
    assert.equal((await call("load")).code, 0);
    assert.ok(Math.abs(Date.now() - now) < 60_000);
    assert.equal((await call("save")).code, 0);
    assert.ok((await Deno.stat(file)).mtime!.getTime() > now - 60_000);
    assert.equal((await call("set")).code, 2);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
