/**
 * A district's store that is killed with SIGKILL right after its n-th statement that writes.
 *
 * Arguments: data folder, n (0: never), what to do: `offer ID`, `installed ID ACTION`, `failed ID
 * ACTION`, `resume ROLLOUT` or `abort ROLLOUT`. It prints what came of it.
 *
 * @module
 */
import { DatabaseSync, StatementSync } from "node:sqlite";
import { SqliteStore } from "../../district/store/sqlite/mod.ts";

const [dataDir, n, verb, who, action] = Deno.args as [string, string, string, string, string];
const NOW_MS = 1_790_000_000_000;
let left = Number(n);

function after(): void {
  if (--left === 0) Deno.kill(Deno.pid, "SIGKILL");
}

await using store = new SqliteStore(dataDir);
const { run } = StatementSync.prototype;
StatementSync.prototype.run = function (this: StatementSync, ...values: unknown[]) {
  const result = Reflect.apply(run, this, values);
  after();
  return result;
} as typeof run;
const { exec } = DatabaseSync.prototype;
DatabaseSync.prototype.exec = function (sql: string) {
  exec.call(this, sql);
  after();
};

async function perform(): Promise<unknown> {
  const { rollouts } = store;
  switch (verb) {
    case "offer":
      return await rollouts.offer(who, NOW_MS);
    case "installed":
      return await rollouts.report(who, Number(action), { kind: verb }, NOW_MS);
    case "failed":
      return await rollouts.report(who, Number(action), { kind: verb, reason: "x" }, NOW_MS);
    case "resume":
    case "abort":
      return await rollouts.stepRollout(Number(who), { kind: verb, by: "wang" }, NOW_MS);
    default:
      throw new Error(`${verb} is not understood`);
  }
}

console.log(JSON.stringify(await perform()));
