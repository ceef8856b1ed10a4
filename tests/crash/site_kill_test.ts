/**
 * Box and district are killed with SIGKILL at random moments under load. Every event that
 * `append()` had acknowledged must be at the district once, with its chain intact.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Program, runProgram } from "../../demo/program.ts";
import { storePath } from "../../district/district.ts";
import { linuxClock } from "../../hal/linux/mod.ts";
import { decodeEvent, LANES } from "../../sync/wire/mod.ts";

const KILLS = 50;
const LOADER = new URL("./loader.ts", import.meta.url).pathname;
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;
const clock = linuxClock();
const { signal } = new AbortController();

/** What the loader has said, across its lives. */
class Loader {
  /** Number → place, for every event that was acknowledged. */
  readonly acknowledged = new Map<number, string>();
  #next = 1;
  #child: Deno.ChildProcess | undefined;
  #reading: Promise<void> = Promise.resolve();

  constructor(readonly dataDir: string) {}

  start(count: number): void {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        `--config=${CONFIG}`,
        LOADER,
        this.dataDir,
        String(this.#next),
        String(count),
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#reading = this.#read(this.#child.stdout);
  }

  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.end();
    // Numbers that were appended but not acknowledged are not used again.
    this.#next += 100_000;
  }

  async end(): Promise<number> {
    const { code } = await this.#child!.status;
    await this.#reading;
    return code;
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      // A line that was cut by the kill was not said.
      rest = lines.pop()!;
      for (const line of lines) {
        const [number, ...place] = line.split(" ");
        assert.ok(!this.acknowledged.has(Number(number)), `${number} was acknowledged twice`);
        this.acknowledged.set(Number(number), place.join(" "));
      }
    }
  }
}

Deno.test("box and district are killed at 50 random moments each; what was acknowledged arrives once", async () => {
  const seed = Number(Deno.env.get("SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  console.log(`seed ${seed}`);
  let word = seed >>> 0;
  const random = () => (word = (Math.imul(word, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  const dir = await Deno.makeTempDir({ prefix: "gatehouse-kill-" });
  const districtData = join(dir, "district");
  const boxData = join(dir, "box");
  const startDistrict = async (listen: string) => {
    const program = new Program(
      ["district", "--data", districtData, "--listen", listen, "--json"],
      clock,
    );
    const { port } = await program.findJson({ event: "listening" }, 60_000);
    return { program, listen: `127.0.0.1:${port}` };
  };
  let district = await startDistrict("127.0.0.1:0");
  try {
    const token = JSON.parse(
      (await runProgram(["district", "token", "--data", districtData, "--json"])).stdout,
    ).token;
    const url = `https://${district.listen.replace("127.0.0.1", "localhost")}`;
    const enrolled = await runProgram([
      ...["enrol", "--district", url, "--token", token, "--data", boxData],
    ]);
    assert.equal(enrolled.code, 0, enrolled.stderr);

    const loader = new Loader(boxData);
    let acknowledgedUnderLoad = 0;
    for (let round = 0; round < KILLS; round++) {
      loader.start(0);
      const boxDiesMs = 250 + random() * 700;
      const districtDiesMs = random() * boxDiesMs;
      await clock.sleep(districtDiesMs, signal);
      district.program.kill("SIGKILL");
      await district.program.status;
      // It comes back while the box still runs, or after it has died as well.
      const restarting = startDistrict(district.listen);
      await clock.sleep(boxDiesMs - districtDiesMs, signal);
      await loader.kill();
      district = await restarting;
      if (loader.acknowledged.size > acknowledgedUnderLoad) {
        acknowledgedUnderLoad = loader.acknowledged.size;
      }
    }
    assert.ok(acknowledgedUnderLoad > KILLS * 100, `only ${acknowledgedUnderLoad} were appended`);
    loader.start(10);
    assert.equal(await loader.end(), 0, "the last run drains everything");
    district.program.kill("SIGTERM");
    await district.program.status;

    const verified = await runProgram(["district", "verify", "--data", districtData]);
    assert.equal(verified.code, 0, verified.stdout);
    const box = await runProgram(["events", "--data", boxData, "--verify"]);
    assert.equal(box.code, 0, box.stdout);

    const places = new Map<number, string[]>();
    let stored = 0;
    using db = new DatabaseSync(storePath(districtData), { readOnly: true });
    const rows = db.prepare(
      `SELECT epoch, lane, events.seq AS seq, bytes FROM events
       JOIN streams ON streams.id = events.stream`,
    ).iterate() as Iterable<{ epoch: number; lane: number; seq: number; bytes: Uint8Array }>;
    for (const { epoch, lane, seq, bytes } of rows) {
      stored++;
      const { event } = decodeEvent(bytes);
      const name = "door" in event
        ? event.door
        : "id" in event
        ? event.id
        : "output" in event
        ? event.output
        : "";
      if (!name.startsWith("n")) continue;
      const number = Number(name.slice(1));
      places.set(number, [...places.get(number) ?? [], `${epoch} ${LANES[lane]} ${seq}`]);
    }
    for (const [number, place] of loader.acknowledged) {
      assert.deepEqual(places.get(number), [place], `event ${number}`);
    }
    for (const [number, found] of places) {
      assert.equal(found.length, 1, `event ${number} is at the district ${found.length} times`);
    }
    console.log(
      `${KILLS} kills each: ${loader.acknowledged.size} acknowledged, ${stored} at the district, 0 lost, 0 doubled`,
    );
  } finally {
    district.program.kill("SIGKILL");
    await district.program.status;
    await Deno.remove(dir, { recursive: true });
  }
});
