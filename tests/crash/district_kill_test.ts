/**
 * Kills a real district process with SIGKILL at random moments while a box uploads, restarts it on
 * the same data each time, and holds what it acknowledged against what it has.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { FakeBox, grants } from "../../district/testing/fake_box.ts";
import { processClock } from "../../hal/linux/clock.ts";
import { LANES } from "../../sync/wire/mod.ts";

const KILLS = 22;
const MAIN = new URL("../../district/main.ts", import.meta.url).pathname;

/** Mulberry32: small, seeded, good enough to choose moments. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

class Process {
  readonly url: string;
  readonly #child: Deno.ChildProcess;

  private constructor(child: Deno.ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
  }

  static async start(dataDir: string, listen: string): Promise<Process> {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", MAIN, "--data", dataDir, "--listen", listen, "--json"],
      stdout: "piped",
      stderr: "null",
    }).spawn();
    let text = "";
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    while (!text.includes("\n")) {
      const { done, value } = await reader.read();
      assert.ok(!done, "the district did not start");
      text += value;
    }
    // Nothing more comes that matters, but the pipe must not fill.
    (async () => {
      while (!(await reader.read()).done);
    })().catch(() => {});
    return new Process(child, JSON.parse(text.split("\n")[0]!).url as string);
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
  }
}

async function token(dataDir: string): Promise<string> {
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", MAIN, "token", "--data", dataDir, "--json"],
  }).output();
  assert.ok(success);
  return JSON.parse(new TextDecoder().decode(stdout)).token as string;
}

Deno.test("the district is killed at random moments and loses nothing it acknowledged", async () => {
  const seed = Number(Deno.env.get("SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  console.log(`seed ${seed}`);
  const next = random(seed);
  const dataDir = await Deno.makeTempDir({ prefix: "district-kill-" });
  let district = await Process.start(dataDir, "127.0.0.1:0");
  const listen = new URL(district.url).host;
  const caPem = (await Deno.readTextFile(`${dataDir}/ca.pem`)).split("-----BEGIN PRIVATE")[0]!;
  const acked = { alarm: 0, command: 0, access: 0, telemetry: 0 };
  let uploads = 0;
  let broken = 0;
  try {
    using box = new FakeBox(district.url, caPem, processClock());
    assert.equal((await box.enrol(await token(dataDir))).status, 200);
    const controller = new AbortController();
    // The box's part: always something to send, one upload in flight, repeated until acknowledged.
    const uploading = (async () => {
      while (!controller.signal.aborted) {
        const size = 1 + Math.floor(next() * 3000);
        if (box.head("access") - acked.access < size) box.record(grants(size, box.head("access")));
        box.record([{ kind: "door.forced", door: "main" }, { kind: "box.stopped" }]);
        try {
          const acks = await box.upload([
            box.batch("alarm", acked.alarm, 10),
            box.batch("access", acked.access, size),
            box.batch("telemetry", acked.telemetry, 10),
          ]);
          uploads++;
          for (const ack of acks) {
            assert.equal(ack.refused, undefined, `${ack.lane} refused as ${ack.refused}`);
            assert.ok(ack.seq >= acked[ack.lane], "an acknowledgement was taken back");
            assert.ok(ack.seq <= box.head(ack.lane), "more is acknowledged than there is");
            acked[ack.lane] = ack.seq;
          }
        } catch (error) {
          if (error instanceof assert.AssertionError) throw error;
          broken++;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    })();
    for (let kill = 0; kill < KILLS; kill++) {
      await new Promise((resolve) => setTimeout(resolve, 20 + next() * 700));
      await district.kill();
      district = await Process.start(dataDir, listen);
    }
    // After the last start it must take something yet.
    const before = uploads;
    for (let wait = 0; uploads === before && wait < 200; wait++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    controller.abort();
    await uploading;
    assert.ok(uploads > before, "no upload after the last restart");
    assert.ok(broken >= KILLS / 2, `only ${broken} uploads were cut: the kills missed`);
    await district.kill();

    const verify = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", MAIN, "verify", "--data", dataDir, "--json"],
    }).output();
    assert.ok(verify.success, new TextDecoder().decode(verify.stdout));
    const db = new DatabaseSync(`${dataDir}/district.sqlite`, { readOnly: true });
    try {
      for (const [lane, name] of LANES.entries()) {
        const row = db.prepare(
          `SELECT count(*) AS n, count(DISTINCT e.seq) AS different, coalesce(max(e.seq), 0) AS last
           FROM events e JOIN streams s ON s.id = e.stream WHERE s.lane = ?`,
        ).get(lane)!;
        assert.equal(row.n, row.different, `${name}: stored twice`);
        assert.equal(row.n, row.last, `${name}: not contiguous`);
        assert.ok(Number(row.last) >= acked[name], `${name}: acknowledged but not stored`);
      }
      assert.equal(db.prepare("PRAGMA integrity_check").get()!.integrity_check, "ok");
    } finally {
      db.close();
    }
    console.log(
      `${KILLS} kills, ${uploads} uploads acknowledged, ${broken} cut, ${acked.access} grants`,
    );
  } finally {
    await district.kill().catch(() => {});
    await Deno.remove(dataDir, { recursive: true });
  }
});
