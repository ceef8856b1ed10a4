/**
 * A block: the events of one lane that one commit stored, in one row. A row for each event would
 * cost a B-tree insertion and a hash each, and wear the card out by as much.
 *
 * Layout: for each event its length and its place in the commit over all lanes (both 16 bits, big
 * endian), then its CBOR. The place lets a reader show events of different lanes as they happened.
 *
 * @module
 */
/** Bytes before each event: length and place. */
export const ENTRY_HEAD_BYTES = 4;

/** Events of one commit: their places fit 16 bits. */
export const COMMIT_EVENTS_MAX = 0xffff;

/** A block that was cut short or edited. */
export class BlockError extends Error {
  /** Says what does not fit. */
  constructor(message: string) {
    super(message);
    this.name = "BlockError";
  }
}

/** Collects the events of one lane for the next commit. */
export class BlockWriter {
  #bytes = new Uint8Array(1 << 10);
  #used = 0;
  #count = 0;

  /** Bytes so far. */
  get used(): number {
    return this.#used;
  }

  /** Events so far. */
  get count(): number {
    return this.#count;
  }

  /** Adds an event of at most 65,535 bytes. */
  add(event: Uint8Array, place: number): void {
    const end = this.#used + ENTRY_HEAD_BYTES + event.length;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(2 * this.#bytes.length, end));
      grown.set(this.#bytes.subarray(0, this.#used));
      this.#bytes = grown;
    }
    this.#bytes[this.#used] = event.length >> 8;
    this.#bytes[this.#used + 1] = event.length;
    this.#bytes[this.#used + 2] = place >> 8;
    this.#bytes[this.#used + 3] = place;
    this.#bytes.set(event, this.#used + ENTRY_HEAD_BYTES);
    this.#used = end;
    this.#count++;
  }

  /** Copies the block to `target` at `offset`. */
  copyTo(target: Uint8Array, offset: number): void {
    target.set(this.#bytes.subarray(0, this.#used), offset);
  }

  /** The block, valid until the next {@link BlockWriter.clear}. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#used);
  }

  /** Begins the next block. */
  clear(): void {
    this.#used = 0;
    this.#count = 0;
  }
}

/** The events of a block. */
export interface Block {
  /** Views into the block's bytes. */
  readonly events: readonly Uint8Array[];
  /** Place of each in the commit over all lanes, from 0. */
  readonly places: readonly number[];
}

/**
 * Reads a block.
 *
 * @throws {@link BlockError} unless there are `count` events in it, and nothing else.
 */
export function readBlock(bytes: Uint8Array, count: number): Block {
  const events: Uint8Array[] = [];
  const places: number[] = [];
  let at = 0;
  while (at < bytes.length) {
    const start = at + ENTRY_HEAD_BYTES;
    if (start > bytes.length) throw new BlockError("a block ends within an event's head");
    const end = start + (bytes[at]! << 8 | bytes[at + 1]!);
    if (end > bytes.length) throw new BlockError("a block ends within an event");
    events.push(bytes.subarray(start, end));
    places.push(bytes[at + 2]! << 8 | bytes[at + 3]!);
    at = end;
  }
  if (events.length !== count) {
    throw new BlockError(`a block holds ${events.length} events, its row says ${count}`);
  }
  return { events, places };
}

/** Whether two hashes are the same. They are no secrets: any comparison does. */
export function sameHash(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
