/**
 * The other end of the drain's plainer peer, on a process of its own: takes bodies over TLS and puts
 * each into SQLite in one durable transaction. No signatures, no chain, no checks, no compression.
 *
 * A body is a list of events, each after its length in two bytes.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { GOOD_CERTIFICATE } from "../sync/testing/mod.ts";

const db = new DatabaseSync(`${Deno.args[0]}/peer.db`);
db.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;");
db.exec("CREATE TABLE events (seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT");
const insert = db.prepare("INSERT INTO events (bytes) VALUES (?)");

const server = Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  cert: GOOD_CERTIFICATE.cert,
  key: GOOD_CERTIFICATE.key,
  onListen: ({ port }) => console.log(`https://127.0.0.1:${port}`),
}, async (request) => {
  const body = new Uint8Array(await request.arrayBuffer());
  db.exec("BEGIN");
  for (let at = 0; at < body.length;) {
    const length = body[at]! * 256 + body[at + 1]!;
    insert.run(body.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  db.exec("COMMIT");
  return new Response("ok");
});

// Ends with its parent.
await Deno.stdin.readable.pipeTo(new WritableStream());
await server.shutdown();
db.close();
