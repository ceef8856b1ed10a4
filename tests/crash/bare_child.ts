/**
 * Bare SQLite with `synchronous=NORMAL`, which does not promise to survive a power cut: what the
 * journal would be if it were careless. It says the same lines as `journal_child.ts`.
 *
 *     deno run bare_child.ts DATA_DIR RUN
 *
 * @module
 */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

const [dataDir, run] = Deno.args;

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

const db = new DatabaseSync(join(dataDir!, "bare.db"));
db.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL");
db.exec("CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, token TEXT NOT NULL) STRICT");
const insert = db.prepare("INSERT INTO events (token) VALUES (?)");
say("open 1");
for (let count = 0;; count++) {
  const token = `${run}-${count}`;
  const { lastInsertRowid } = insert.run(token);
  say(`event access ${lastInsertRowid} ${token}`);
}
