import type { DatabaseSync, StatementSync } from "node:sqlite";
import {
  type BoxStatus,
  decodeEvent,
  type Lane,
  type LaneAck,
  LANES,
} from "../../../sync/wire/mod.ts";
import type {
  BoxRow,
  ChainReport,
  CheckedBatch,
  CommandRow,
  EnrolOutcome,
  EventQuery,
  EventRow,
  IngestResult,
} from "../contract.ts";
import { verifyStream } from "./chains.ts";
import type { CommandTable } from "./command_table.ts";
import { transaction } from "./database.ts";
import { joinBatch } from "../join.ts";

/** Boxes, tokens and events in SQLite. */
export class BoxTables {
  readonly #db: DatabaseSync;
  readonly #commands: CommandTable;
  readonly #sql: ReturnType<typeof prepare>;

  /** Prepares its statements. */
  constructor(db: DatabaseSync, commands: CommandTable) {
    this.#db = db;
    this.#commands = commands;
    this.#sql = prepare(db);
  }

  addToken(secretHash: Uint8Array, expiresMs: number): void {
    this.#sql.addToken.run(secretHash, expiresMs);
  }

  enrol(
    request: {
      readonly secretHash: Uint8Array;
      readonly boxId: string;
      readonly publicKey: Uint8Array;
      readonly name: string;
    },
    nowMs: number,
  ): EnrolOutcome {
    const { secretHash, boxId, publicKey, name } = request;
    return transaction(this.#db, () => {
      const token = this.#sql.token.get(secretHash);
      if (token === undefined) return "token-unknown";
      // The first answer may have been lost on its way; a withdrawn box needs a new token.
      if (token.used_by === boxId && this.box(boxId)?.revoked === false) return "enrolled";
      if (token.used_by !== null) return "token-used";
      if (Number(token.expires_ms) <= nowMs) return "token-expired";
      this.#sql.useToken.run(boxId, secretHash);
      this.#sql.addBox.run(boxId, name, publicKey, nowMs);
      return "enrolled";
    });
  }

  box(boxId: string): BoxRow | undefined {
    const row = this.#sql.box.get(boxId);
    return row === undefined ? undefined : boxRow(row);
  }

  boxes(): BoxRow[] {
    return this.#sql.boxes.all().map(boxRow);
  }

  noteSeen(boxId: string, lastSeenMs: number, status: BoxStatus | undefined): void {
    this.#sql.noteSeen.run(
      lastSeenMs,
      status === undefined ? null : JSON.stringify(status),
      status?.name ?? null,
      boxId,
    );
  }

  revoke(boxId: string): boolean {
    return Number(this.#sql.revoke.run(boxId).changes) > 0;
  }

  cursor(boxId: string, epoch: number, lane: Lane): number {
    return Number(this.#sql.stream.get(boxId, epoch, LANES.indexOf(lane))?.seq ?? 0);
  }

  ingest(boxId: string, batches: readonly CheckedBatch[], nowMs: number): IngestResult {
    const stored: EventRow[] = [];
    const commands: CommandRow[] = [];
    if (batches.length === 0) return { acks: [], stored, commands };
    const acks = transaction(
      this.#db,
      () => batches.map((batch) => this.#ingest(boxId, batch, nowMs, stored, commands)),
    );
    return { acks, stored, commands };
  }

  #ingest(
    boxId: string,
    batch: CheckedBatch,
    nowMs: number,
    stored: EventRow[],
    commands: CommandRow[],
  ): LaneAck {
    const { lane, epoch } = batch;
    const sql = this.#sql;
    const laneNumber = LANES.indexOf(lane);
    const row = sql.stream.get(boxId, epoch, laneNumber);
    const at = row === undefined
      ? undefined
      : { seq: Number(row.seq), hash: row.head_hash as Uint8Array };
    const joined = joinBatch(batch, at, (seq) => {
      const event = sql.bytesAt.get(row!.id as number, seq);
      return event?.bytes as Uint8Array | undefined;
    });
    const seqNow = at?.seq ?? 0;
    if (joined.refused !== undefined) return { lane, epoch, seq: seqNow, refused: joined.refused };
    if (joined.skip === batch.events.length) return { lane, epoch, seq: seqNow };
    const head = batch.events.at(-1)!;
    const headSeq = batch.firstSeq + batch.events.length - 1;
    const stream = Number(
      sql.setStream.get(boxId, epoch, laneNumber, headSeq, head.hash, batch.headSignature)!.id,
    );
    if (joined.gapFrom !== undefined) {
      sql.addGap.run(
        stream,
        joined.gapFrom.seq,
        batch.firstSeq,
        joined.gapFrom.hash,
        batch.prevHash,
        nowMs,
      );
    }
    for (let index = joined.skip; index < batch.events.length; index++) {
      const { bytes, recorded } = batch.events[index]!;
      const seq = batch.firstSeq + index;
      const { event } = recorded;
      const { lastInsertRowid } = sql.addEvent.run(
        stream,
        seq,
        event.kind,
        recorded.wallMs,
        nowMs,
        bytes,
      );
      stored.push({
        id: Number(lastInsertRowid),
        boxId,
        epoch,
        lane,
        seq,
        receivedMs: nowMs,
        recorded,
      });
      if (event.kind === "command.result") {
        const command = this.#commands.finish(event.id, boxId, event.outcome, event.detail);
        if (command !== undefined) commands.push(command);
      }
    }
    return { lane, epoch, seq: headSeq };
  }

  events(query: EventQuery): EventRow[] {
    if (query.boxId === undefined && query.lane === undefined) {
      return this.#sql.newest.all(query.beforeId ?? Number.MAX_SAFE_INTEGER, query.limit).map(
        eventRow,
      );
    }
    const lane = query.lane === undefined ? null : LANES.indexOf(query.lane);
    // Within a stream ids grow with seq: the newest of each stream, merged, are the newest of all.
    const streams = this.#sql.streamsOf.all(query.boxId ?? null, query.boxId ?? null, lane, lane);
    const rows: EventRow[] = [];
    for (const stream of streams) {
      const id = Number(stream.id);
      const upTo = query.beforeId === undefined
        ? Number(stream.seq)
        : this.#lastSeqBefore(id, Number(stream.seq), query.beforeId);
      rows.push(...this.#sql.newestOf.all(id, upTo, query.limit).map(eventRow));
    }
    return rows.sort((a, b) => b.id - a.id).slice(0, query.limit);
  }

  /** Highest seq of a stream whose id is below `beforeId`; 0 when none is. Bisects, as ids grow with seq. */
  #lastSeqBefore(stream: number, headSeq: number, beforeId: number): number {
    let [low, high] = [0, headSeq];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      const found = this.#sql.idFrom.get(stream, middle);
      if (found !== undefined && Number(found.id) < beforeId) {
        low = Math.max(middle, Number(found.seq));
      } else high = middle - 1;
    }
    return low;
  }

  verifyChains(boxId: string): ChainReport[] {
    const box = this.box(boxId);
    if (box === undefined) return [];
    return this.#sql.streamsOf.all(boxId, boxId, null, null).map((stream) => {
      const id = Number(stream.id);
      return verifyStream(
        box,
        {
          epoch: Number(stream.epoch),
          lane: LANES[Number(stream.lane)]!,
          seq: Number(stream.seq),
          headHash: stream.head_hash as Uint8Array,
          headSignature: stream.head_signature as Uint8Array,
        },
        this.#sql.gaps.all(id),
        this.#sql.bytesOf.iterate(id),
      );
    });
  }
}

function prepare(db: DatabaseSync) {
  const event =
    "SELECT e.id, e.seq, e.received_ms, e.bytes, s.box, s.epoch, s.lane FROM events e JOIN streams s ON s.id = e.stream";
  const sql = {
    addToken: "INSERT INTO tokens (secret_hash, expires_ms) VALUES (?, ?)",
    token: "SELECT expires_ms, used_by FROM tokens WHERE secret_hash = ?",
    useToken: "UPDATE tokens SET used_by = ? WHERE secret_hash = ?",
    addBox: `INSERT INTO boxes (id, name, public_key, enrolled_ms) VALUES (?, ?, ?, ?)
      ON CONFLICT (id) DO UPDATE SET name = excluded.name, revoked = 0`,
    box: "SELECT * FROM boxes WHERE id = ?",
    boxes: "SELECT * FROM boxes ORDER BY name, id",
    noteSeen:
      "UPDATE boxes SET last_seen_ms = ?1, status = coalesce(?2, status), name = coalesce(?3, name) WHERE id = ?4",
    revoke: "UPDATE boxes SET revoked = 1 WHERE id = ?",
    stream: "SELECT * FROM streams WHERE box = ? AND epoch = ? AND lane = ?",
    setStream: `INSERT INTO streams (box, epoch, lane, seq, head_hash, head_signature)
      VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (box, epoch, lane) DO UPDATE SET
      seq = excluded.seq, head_hash = excluded.head_hash, head_signature = excluded.head_signature
      RETURNING id`,
    streamsOf: "SELECT * FROM streams WHERE (? IS NULL OR box = ?) AND (? IS NULL OR lane = ?)",
    addGap: "INSERT INTO gaps VALUES (?, ?, ?, ?, ?, ?)",
    gaps: "SELECT * FROM gaps WHERE stream = ? ORDER BY first_seq",
    addEvent:
      "INSERT INTO events (stream, seq, kind, wall_ms, received_ms, bytes) VALUES (?, ?, ?, ?, ?, ?)",
    bytesAt: "SELECT bytes FROM events WHERE stream = ? AND seq = ?",
    bytesOf: "SELECT seq, bytes FROM events WHERE stream = ? ORDER BY seq",
    idFrom: "SELECT id, seq FROM events WHERE stream = ? AND seq >= ? ORDER BY seq LIMIT 1",
    newest: `${event} WHERE e.id < ? ORDER BY e.id DESC LIMIT ?`,
    newestOf: `${event} WHERE e.stream = ? AND e.seq <= ? ORDER BY e.seq DESC LIMIT ?`,
  };
  return Object.fromEntries(
    Object.entries(sql).map(([name, text]) => [name, db.prepare(text)]),
  ) as Record<keyof typeof sql, StatementSync>;
}

type Row = Record<string, unknown>;

function boxRow(row: Row): BoxRow {
  return {
    id: row.id as string,
    name: row.name as string,
    publicKey: row.public_key as Uint8Array,
    enrolledMs: Number(row.enrolled_ms),
    lastSeenMs: row.last_seen_ms === null ? undefined : Number(row.last_seen_ms),
    status: row.status === null ? undefined : JSON.parse(row.status as string) as BoxStatus,
    revoked: row.revoked === 1,
  };
}

function eventRow(row: Row): EventRow {
  return {
    id: Number(row.id),
    boxId: row.box as string,
    epoch: Number(row.epoch),
    lane: LANES[Number(row.lane)]!,
    seq: Number(row.seq),
    receivedMs: Number(row.received_ms),
    recorded: decodeEvent(row.bytes as Uint8Array),
  };
}
