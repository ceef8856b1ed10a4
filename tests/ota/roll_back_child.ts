/**
 * Takes a rollout of a store back: `roll_back_child.ts FOLDER ID RELEASE`. Says `go` right before.
 *
 * @module
 */
import { SqliteStore } from "../../district/store/sqlite/mod.ts";

const [folder, id, release] = Deno.args as [string, string, string];
const store = new SqliteStore(folder);
Deno.stdout.writeSync(new TextEncoder().encode("go\n"));
await store.rollouts.rollBack(Number(id), "wang", new Set([release]), Date.now());
Deno.exit(0);
