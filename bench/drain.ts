/**
 * A week's backlog drained: from a real journal, over TLS on the loopback, to a real district on a
 * process of its own, until its acknowledgements are noted.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { gzipSync } from "node:zlib";
import { linuxClock } from "../hal/linux/mod.ts";
import type { Clock } from "../hal/mod.ts";
import type { Journal } from "../runtime/journal/contract.ts";
import { openJournal } from "../runtime/journal/mod.ts";
import { type BoxIdentity, enrol, startSync } from "../sync/mod.ts";
import { TEST_CA_PEM } from "../sync/testing/mod.ts";
import { type BoxEvent, decodeEvent, WIRE_LIMITS } from "../sync/wire/mod.ts";
import type { BenchRow } from "./row.ts";

/** More than a week of a busy gate, a round; long enough for the start to weigh little. */
const EVENTS = 80_000;
/** Of each figure, the median of these counts: the machine may be doing something else. */
const ROUNDS = 3;
/** For the bytes on the wire, which do not change with the number. */
const COUNTED_EVENTS = 40_000;
/** Bodies of the peer carry as many events as ours at their largest. */
const BATCH = WIRE_LIMITS.batchEventsMax;

/** A child that says one line when it is ready, and ends when its input closes. */
class Child implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;

  constructor(script: string, args: readonly string[]) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--no-prompt",
        "--allow-all",
        `--config=${new URL("../deno.json", import.meta.url).pathname}`,
        "--frozen",
        "--cached-only",
        new URL(script, import.meta.url).pathname,
        ...args,
      ],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
  }

  async line(): Promise<string> {
    const reader = this.#process.stdout.getReader();
    const decoder = new TextDecoder();
    let text = "";
    while (!text.includes("\n")) {
      const { value, done } = await reader.read();
      if (done) throw new Error("the other end ended early; it says why above");
      text += decoder.decode(value, { stream: true });
    }
    reader.releaseLock();
    return text.slice(0, text.indexOf("\n"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stdin.close();
    await this.#process.stdout.cancel();
    await this.#process.status;
  }
}

/** Time that goes on by some seconds an event, as it does at a gate: stamps are not all alike. */
class GateClock implements Clock {
  readonly #clock: Clock;
  #aheadMs = 0;
  #random = 1;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Uniform in [0, 1), from a seed. */
  random(): number {
    this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0;
    return this.#random / 2 ** 32;
  }

  pass(ms: number): void {
    this.#aheadMs += ms;
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs() + this.#aheadMs;
  }

  wallMs(): number {
    return this.#clock.wallMs() + this.#aheadMs;
  }

  wallQuality(): "synchronised" {
    return "synchronised";
  }

  sleep(delayMs: number, signal: AbortSignal): Promise<void> {
    return this.#clock.sleep(delayMs, signal);
  }

  schedule(delayMs: number, callback: () => void): () => void {
    return this.#clock.schedule(delayMs, callback);
  }
}

/** People of a school come to two readers: granted, unlocked, opened, closed; some are refused. */
async function fill(journal: Journal, gate: GateClock, events: number): Promise<void> {
  let last: Promise<unknown> = Promise.resolve();
  let made = 0;
  const append = (event: BoxEvent) => {
    if (made >= events) return;
    made++;
    last = journal.append(event);
  };
  while (made < events) {
    gate.pass(Math.round(-Math.log(1 - gate.random()) * 12_000));
    const reader = gate.random() < 0.5 ? "in" : "out";
    const credential = 1 + Math.floor(gate.random() * 3_000);
    if (gate.random() < 0.03) {
      append({
        kind: "access.denied",
        door: "main",
        reader,
        reason: "unknown-card",
        card: { bits: 32, hex: Math.floor(gate.random() * 2 ** 32).toString(16).padStart(8, "0") },
      });
      continue;
    }
    append({ kind: "access.granted", door: "main", reader, credential, cardholder: credential });
    append({ kind: "door.unlocked", door: "main", cause: "access" });
    gate.pass(700 + Math.round(gate.random() * 900));
    append({ kind: "door.opened", door: "main" });
    gate.pass(1_200 + Math.round(gate.random() * 1_800));
    append({ kind: "door.closed", door: "main" });
    append({ kind: "door.relocked", door: "main" });
    // The journal bounds what may wait for the disk.
    if (made % 5_000 < 5) await last;
  }
  await last;
}

/** Drains the journal; resolves to the ms it took, first connection included. */
async function drain(identity: BoxIdentity, journal: Journal, clock: Clock): Promise<number> {
  const stop = new AbortController();
  const startMs = clock.monotonicMs();
  await using sync = startSync({
    identity,
    journal,
    clock,
    log: {
      debug() {},
      info() {},
      warn: (message, fields) => console.error(message, fields),
      error: (message, fields) => console.error(message, fields),
    },
    status: () => ({
      kind: "status",
      name: "bench",
      version: "bench",
      policyVersion: 0,
      doors: [],
      readers: [],
      backlogEvents: 0,
      rssBytes: 0,
      uptimeMs: 0,
    }),
    onStatusChange: () => () => {},
    policyVersion: () => 0,
    applyPolicy: () => Promise.resolve(),
    execute: () => ({ outcome: "refused" }),
  }, stop.signal);
  while (sync.state().backlogEvents > 0) await clock.sleep(2, stop.signal);
  return clock.monotonicMs() - startMs;
}

/** Passes connections on to `port` and counts what goes up and down: TLS records, headers and all. */
function counter(port: number): AsyncDisposable & { readonly port: number; bytes(): number } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let bytes = 0;
  const counting = () =>
    new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(chunk, controller) {
        bytes += chunk.length;
        controller.enqueue(chunk);
      },
    });
  const accepting = (async () => {
    for await (const near of listener) {
      const far = await Deno.connect({ hostname: "127.0.0.1", port });
      near.readable.pipeThrough(counting()).pipeTo(far.writable).catch(() => {});
      far.readable.pipeThrough(counting()).pipeTo(near.writable).catch(() => {});
    }
  })();
  return {
    port: listener.addr.port,
    bytes: () => bytes,
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
    },
  };
}

/** Bare SQLite read, POSTs over the same TLS, bare durable inserts at the other end. Events a second. */
async function bare(bodies: readonly Uint8Array[], clock: Clock): Promise<number> {
  const dataDir = await Deno.makeTempDir({ prefix: "gatehouse-bench-" });
  try {
    using db = disposable(new DatabaseSync(`${dataDir}/source.db`));
    db.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;");
    db.exec("CREATE TABLE events (seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT");
    const insert = db.prepare("INSERT INTO events (bytes) VALUES (?)");
    db.exec("BEGIN");
    for (const body of bodies) insert.run(body);
    db.exec("COMMIT");
    await using peer = new Child("./drain_peer.ts", [dataDir]);
    const url = await peer.line();
    using client = Deno.createHttpClient({ caCerts: [TEST_CA_PEM], http2: false });
    const read = db.prepare("SELECT bytes FROM events WHERE seq > ? ORDER BY seq LIMIT ?");
    const startMs = clock.monotonicMs();
    for (let after = 0; after < bodies.length; after += BATCH) {
      const rows = read.all(after, BATCH) as { bytes: Uint8Array }[];
      const body = new Uint8Array(rows.reduce((sum, { bytes }) => sum + 2 + bytes.length, 0));
      let at = 0;
      for (const { bytes } of rows) {
        body[at] = bytes.length >> 8;
        body[at + 1] = bytes.length & 255;
        body.set(bytes, at + 2);
        at += 2 + bytes.length;
      }
      const response = await fetch(url, { method: "POST", body, client });
      if (await response.text() !== "ok") throw new Error("the peer failed");
    }
    return bodies.length / ((clock.monotonicMs() - startMs) / 1000);
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
}

function disposable(db: DatabaseSync): DatabaseSync & Disposable {
  return Object.assign(db, { [Symbol.dispose]: () => db.close() });
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** The access lane's events after `before` as they stand in the journal. */
async function eventsOf(journal: Journal, before: number): Promise<Uint8Array[]> {
  const events: Uint8Array[] = [];
  for (;;) {
    const batch = await journal.read("access", before + events.length, {
      eventsMax: BATCH,
      bytesMax: 1 << 20,
    });
    if (batch === undefined) return events;
    for (const event of batch.events) events.push(new Uint8Array(event));
  }
}

/** What the same events cost as JSON with gzip, in bodies of the same number of events. */
function jsonBytes(events: readonly Uint8Array[]): number {
  let bytes = 0;
  for (let at = 0; at < events.length; at += BATCH) {
    const rows = events.slice(at, at + BATCH).map((event) => decodeEvent(event));
    bytes += gzipSync(JSON.stringify(rows)).length;
  }
  return bytes / events.length;
}

/** Events a second beside a plain copy from SQLite to SQLite, and bytes an event beside JSON. */
export async function benchDrain(): Promise<BenchRow[]> {
  const clock = linuxClock();
  const stop = new AbortController();
  const dataDir = await Deno.makeTempDir({ prefix: "gatehouse-bench-" });
  try {
    await using district = new Child("./drain_district.ts", [`${dataDir}/district`]);
    const [url, token] = (await district.line()).split(" ") as [string, string];
    const gate = new GateClock(clock);
    const boxDir = `${dataDir}/box`;
    await Deno.mkdir(boxDir);
    const identity = await enrol(
      { url, token, name: "bench", dataDir: boxDir, clock },
      stop.signal,
    );
    await using journal = await openJournal({ dataDir: boxDir, clock: gate });

    const ours: number[] = [];
    const theirs: number[] = [];
    let stored: Uint8Array[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const before = journal.state().lanes.find(({ lane }) => lane === "access")!.head;
      await fill(journal, gate, EVENTS);
      stored = await eventsOf(journal, before);
      theirs.push(await bare(stored, clock));
      ours.push(EVENTS / (await drain(identity, journal, clock) / 1000));
    }

    await fill(journal, gate, COUNTED_EVENTS);
    await using wire = counter(Number(new URL(url).port));
    const counted = { ...identity, url: `https://127.0.0.1:${wire.port}` };
    await drain(counted, journal, clock);
    const wireBytes = wire.bytes() / COUNTED_EVENTS;

    const perS = median(ours);
    const barePerS = median(theirs);
    const json = jsonBytes(stored);
    return [
      {
        bench: "drain",
        metric: "backlog drained over loopback TLS",
        value: perS,
        unit: "events/s",
        baseline: "SQLite rows POSTed over the same TLS and inserted, unsigned and unchecked",
        baselineValue: barePerS,
        ratio: perS / barePerS,
      },
      {
        bench: "drain",
        metric: "bytes an event on the wire, both ways, TLS included",
        value: wireBytes,
        unit: "bytes/event",
        baseline: "the same events as JSON with gzip, bodies alone",
        baselineValue: json,
        ratio: wireBytes / json,
      },
    ];
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
}
