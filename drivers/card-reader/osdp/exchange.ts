/**
 * One command and what is known of its way to a reader and back.
 *
 * @module
 */
import type { Command } from "./commands.ts";
import type { FrameSequence } from "./frame.ts";

/** A command that is sent, the same bytes each time, until it is answered. */
export interface Exchange {
  readonly command: Command;
  readonly sequence: FrameSequence;
  readonly bytes: Uint8Array;
  readonly expiresMs: number | undefined;
  readonly onWritten: ((atMonotonicMs: number) => void) | undefined;
  /** Refusals of these very bytes. */
  refusals: number;
}

/** A frame to send. */
export interface Outgoing {
  readonly bytes: Uint8Array;
  /** Call it when the line has taken the bytes. */
  readonly onWritten: ((atMonotonicMs: number) => void) | undefined;
}

/** A command that may wait for ever, and of which nobody wants to hear. */
export function order(
  command: Command,
): { command: Command; expiresMs?: number; onWritten?: undefined } {
  return { command };
}

/** @throws RangeError when a reader has no such line. */
export function checkIndex(what: string, index: number, max: number): void {
  if (Number.isInteger(index) && index >= 0 && index < max) return;
  throw new RangeError(`reader ${what} ${index}: expected 0 to ${max - 1}`);
}
