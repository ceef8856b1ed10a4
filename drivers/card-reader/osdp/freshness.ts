/**
 * Whether what a reader reports is news. It keeps reads while nobody polls it, and one of those must
 * not open a door (docs/adr/0020).
 *
 * @module
 */
import type { Reply } from "./replies.ts";

/** A reader that was silent for longer may hand over cards that were presented meanwhile. */
const STALE_AFTER_MS = 2_000;
/** Polls without news that show that a reader has nothing old left to hand over. */
const QUIET_POLLS = 2;

/** How fresh the reads of one reader are. */
export class Freshness {
  #quietPolls = 0;
  #dropped = 0;

  /** From here on reads count as old until two polls in a row have brought none. */
  doubt(): void {
    this.#quietPolls = QUIET_POLLS;
  }

  /** A reply came after `silenceMs` without one. */
  heardAfter(silenceMs: number): void {
    if (silenceMs > STALE_AFTER_MS) this.doubt();
  }

  /** Whether reads are news. */
  get fresh(): boolean {
    return this.#quietPolls === 0;
  }

  /** Notes that a read was thrown away as old; more of them may follow it. */
  drop(): void {
    this.doubt();
    this.#dropped++;
  }

  /** A poll was answered; `true` when this ended the doubt. */
  polled(reply: Reply | undefined): boolean {
    if (this.#quietPolls === 0) return false;
    if (reply?.kind === "ack") this.#quietPolls--;
    return this.#quietPolls === 0;
  }

  /** How many reads were thrown away since this was asked last. */
  takeDropped(): number {
    const dropped = this.#dropped;
    this.#dropped = 0;
    return dropped;
  }
}
