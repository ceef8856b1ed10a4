/**
 * Which reads of each patrol baton the journal holds, so that one that is downloaded again after a pull,
 * or after the box was killed, is recorded once.
 *
 * A baton's mark is written before the first read of a filling is appended, and after each chunk is
 * durable. What a kill leaves between the two is found in the journal at the next start: only what was
 * appended since the mark is looked at.
 *
 * @module
 */
import * as v from "valibot";
import type { BatonChunk, BatonRead } from "../../drivers/contract.ts";
import { replaceFileDurably } from "../../hal/mod.ts";
import { type BoxEvent, decodeEvent, LANE_OF } from "../../sync/wire/mod.ts";
import type { EventSink, EventSource } from "../journal/contract.ts";

/** Batons that are remembered; the longest unseen go first. A school has some tens. */
const BATONS_MAX = 256;
/** Events looked at together at a start. */
const SCAN = { eventsMax: 1_000, bytesMax: 1 << 20 } as const;
const LANE = LANE_OF["patrol.read"];

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const MarkSchema = v.strictObject({
  baton: v.pipe(v.string(), v.maxLength(64)),
  memory: v.pipe(v.string(), v.maxLength(64)),
  /** Every read below this number is stored, of this memory. */
  next: count,
  epoch: count,
  /** Reads of this memory that are not below `next` stand after this event. */
  afterSeq: count,
});
const FileSchema = v.pipe(v.array(MarkSchema), v.maxLength(BATONS_MAX));

type Mark = v.InferOutput<typeof MarkSchema>;
interface Known {
  mark: Mark;
  /** Stored reads that are not below `next`; at most a chunk of them. */
  readonly beyond: Set<number>;
  /** Whether the file has the mark as it is. */
  written: boolean;
}

/** What the marks need of the journal. */
export type MarkedJournal = EventSink & Pick<EventSource, "state" | "read">;

/** The marks of one box, in one small file. */
export class BatonMarks {
  readonly #path: string;
  readonly #journal: MarkedJournal;
  /** The longest unseen first. */
  readonly #known = new Map<string, Known>();
  /** One chunk after the other: a baton that is moved from cradle to cradle must not overtake itself. */
  #turn: Promise<unknown> = Promise.resolve();

  readonly #report: (message: string) => void;
  #ready: Promise<void> | undefined;

  /**
   * Reads the marks at `path` and what `journal` holds beyond them, which holds nothing up: a fault
   * shows at the next chunk, and is tried again with the one after. A file that is missing or spoilt
   * counts as empty, which `report` is told: then reads of a download that was under way come twice,
   * and none is lost.
   */
  constructor(path: string, journal: MarkedJournal, report: (message: string) => void) {
    this.#path = path;
    this.#journal = journal;
    this.#report = report;
    this.#prepare().catch(() => {});
  }

  /**
   * Records the reads of a chunk that are not in the journal yet. Resolves when all of them are durable,
   * and rejects when one could not be stored; the chunk may then be given again.
   */
  store(source: string, chunk: BatonChunk): Promise<void> {
    const storing = this.#turn.then(() => this.#store(source, chunk));
    this.#turn = storing.catch(() => {});
    return storing;
  }

  #prepare(): Promise<void> {
    this.#ready ??= this.#load().catch((cause) => {
      this.#ready = undefined;
      throw cause;
    });
    return this.#ready;
  }

  async #load(): Promise<void> {
    this.#known.clear();
    try {
      for (const mark of v.parse(FileSchema, JSON.parse(await Deno.readTextFile(this.#path)))) {
        this.#known.set(mark.baton, { mark, beyond: new Set(), written: true });
      }
    } catch (cause) {
      if (!(cause instanceof Deno.errors.NotFound)) {
        this.#report(`${this.#path} is spoilt, reads of a baton may come twice: ${String(cause)}`);
      }
    }
    await this.#scan();
  }

  async #store(source: string, { baton, memory, reads }: BatonChunk): Promise<void> {
    await this.#prepare();
    const known = await this.#begin(baton, memory, reads);
    const fresh = reads.filter(({ record }) =>
      record >= known.mark.next && !known.beyond.has(record)
    );
    const stored = await Promise.allSettled(
      fresh.map(({ record, tag, atWallMs }) => {
        const event: BoxEvent = {
          kind: "patrol.read",
          source,
          tag,
          readAtMs: atWallMs,
          baton,
          record,
        };
        return this.#journal.append(event);
      }),
    );
    let last = { epoch: known.mark.epoch, seq: known.mark.afterSeq };
    for (const [index, one] of stored.entries()) {
      if (one.status === "rejected") continue;
      known.beyond.add(fresh[index]!.record);
      const { epoch, seq } = one.value;
      if (epoch > last.epoch || seq > last.seq) last = { epoch, seq };
    }
    const failed = stored.find((one) => one.status === "rejected");
    // The mark stays where it is: a start would look for what did get through, and find it.
    if (failed !== undefined) throw failed.reason;
    const end = reads.at(-1);
    if (end !== undefined && end.record >= known.mark.next) {
      known.mark = { ...known.mark, next: end.record + 1, epoch: last.epoch, afterSeq: last.seq };
      for (const record of known.beyond) {
        if (record < known.mark.next) known.beyond.delete(record);
      }
      known.written = false;
    }
    if (!known.written) await this.#write();
  }

  /** The mark of a baton's memory; a new one is durable before anything is recorded of it. */
  async #begin(baton: string, memory: string, reads: readonly BatonRead[]): Promise<Known> {
    let known = this.#known.get(baton);
    this.#known.delete(baton);
    if (known?.mark.memory !== memory) {
      const { epoch, lanes } = this.#journal.state();
      const head = lanes.find(({ lane }) => lane === LANE)?.head ?? 0;
      const next = reads[0]?.record ?? 0;
      const mark = { baton, memory, next, epoch, afterSeq: head };
      known = { mark, beyond: new Set(), written: false };
    }
    this.#known.set(baton, known);
    if (this.#known.size > BATONS_MAX) this.#known.delete(this.#known.keys().next().value!);
    if (!known.written) await this.#write();
    return known;
  }

  async #write(): Promise<void> {
    const all = [...this.#known.values()];
    const text = JSON.stringify(all.map(({ mark }) => mark));
    await replaceFileDurably(this.#path, text);
    for (const known of all) known.written = true;
  }

  /** Looks for reads that were stored after the marks were written. */
  async #scan(): Promise<void> {
    const { epoch } = this.#journal.state();
    // Of a store that was replaced since, the places mean nothing: what was under way may come twice.
    const marks = [...this.#known.values()].filter(({ mark }) => mark.epoch === epoch);
    if (marks.length === 0) return;
    let afterSeq = Math.min(...marks.map(({ mark }) => mark.afterSeq));
    for (;;) {
      const batch = await this.#journal.read(LANE, afterSeq, SCAN);
      if (batch === undefined || batch.events.length === 0) return;
      for (const [index, bytes] of batch.events.entries()) {
        const { event } = decodeEvent(bytes);
        if (event.kind !== "patrol.read" || event.baton === undefined) continue;
        const known = this.#known.get(event.baton);
        if (known === undefined || batch.firstSeq + index <= known.mark.afterSeq) continue;
        if (event.record !== undefined && event.record >= known.mark.next) {
          known.beyond.add(event.record);
        }
      }
      afterSeq = batch.firstSeq + batch.events.length - 1;
    }
  }
}
