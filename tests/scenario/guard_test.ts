/** The box's program and its guard as processes, under the rights that the launcher gives. */
import assert from "node:assert/strict";
import { bench, clock, kinds, until } from "../support/gate_bench.ts";

/** Process ids of guards at `socket`. */
function guards(socket: string): number[] {
  return [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
    try {
      const args = Deno.readTextFileSync(`/proc/${name}/cmdline`).split("\0");
      return args.includes(socket) ? [Number(name)] : [];
    } catch {
      // It ended meanwhile, or is no process.
      return [];
    }
  });
}

Deno.test("the box keeps a guard while it runs, restarts one that died, and says what it lacks", async () => {
  await using site = await bench();
  await Deno.writeTextFile(site.config, "watchdog: { path: /dev/watchdog999 }\n", { append: true });
  const socket = `${site.data}/guard.sock`;
  {
    await using box = await site.start();
    const { api } = await box.findJson({ message: "box started" });
    const faults = async () => (await (await fetch(`${api}/healthz`)).json()).faults as string[];
    assert.match((await faults()).join(), /watchdog \/dev\/watchdog999: there is none/);
    const [first, ...others] = guards(socket);
    assert.ok(first !== undefined && others.length === 0);
    Deno.kill(first, "SIGKILL");
    const killedMs = clock.monotonicMs();
    await until("another guard", () => guards(socket).some((pid) => pid !== first));
    console.log(`another guard after ${Math.round(clock.monotonicMs() - killedMs)} ms`);
    await until("it is at work", async () => {
      const all = (await faults()).join();
      return /watchdog999/.test(all) && !/guard process/.test(all);
    });
  }
  await until("the guard ends with the box", () => guards(socket).length === 0);
});

Deno.test("a box with nothing to guard has no guard", async () => {
  await using site = await bench();
  await using _box = await site.start();
  assert.deepEqual(guards(`${site.data}/guard.sock`), []);
});

Deno.test("a box that stood still goes on, and the district will hear of it", async () => {
  await using site = await bench();
  const more = "guard: { heartbeatMs: 500 }\nwatchdog: { path: /dev/watchdog999 }\n";
  await Deno.writeTextFile(site.config, more, { append: true });
  {
    await using box = await site.start();
    box.kill("SIGSTOP");
    await box.findJson({ part: "guard", message: STILL }, 10_000);
    box.kill("SIGCONT");
    await until("it is on record", async () => kinds(await site.events()).includes("box.stalled"));
  }
  const stalled = (await site.events()).map(({ event }) => event as Record<string, unknown>)
    .filter(({ kind }) => kind === "box.stalled");
  assert.equal(stalled.length, 1);
  assert.ok(Number(stalled[0]!.deadMs) >= 500, JSON.stringify(stalled[0]));
});

const STILL = "the box does not answer: outputs go to their on-crash state";
