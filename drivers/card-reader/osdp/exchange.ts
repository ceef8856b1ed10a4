/**
 * The question that a reader was asked last: numbered, laid out once, and repeated as the very same
 * bytes until it is answered.
 *
 * @module
 */
import { type Command, encodeCommand } from "./commands.ts";
import { encodeFrame, type Frame, type FrameCheck, type FrameSequence } from "./frame.ts";
import type { Order } from "./orders.ts";
import { REPLY } from "./replies.ts";
import type { SecureLink } from "./secure_link.ts";

/** A command that is sent, the same bytes each time, until it is answered. */
export interface Exchange extends Order {
  readonly sequence: FrameSequence;
  readonly bytes: Uint8Array;
  /** Refusals of these very bytes. */
  refusals: number;
}

/** A frame to send. */
export interface Outgoing {
  readonly bytes: Uint8Array;
  /** Call it when the line has taken the bytes. */
  readonly onWritten: ((atMonotonicMs: number) => void) | undefined;
  /** How long the reply may take to begin, where that is longer than usual. */
  readonly replyMs: number | undefined;
}

/** Asks one reader one thing at a time. */
export class Exchanges {
  #address: number;
  readonly #check: FrameCheck;
  #sequence: FrameSequence = 0;
  #current: Exchange | undefined;
  #written = false;

  /** Begins at sequence 0, with nothing asked. */
  constructor(address: number, check: FrameCheck) {
    this.#address = address;
    this.#check = check;
  }

  /** Whom it asks. */
  get address(): number {
    return this.#address;
  }

  /** The reader goes by another address: the conversation begins anew there. */
  move(address: number): void {
    this.#address = address;
    this.restart();
  }

  /** What was asked and is not answered yet. */
  get current(): Exchange | undefined {
    return this.#current;
  }

  /** Lays `order` out under the next number, in the secure channel where there is one. */
  begin(order: Order, link: SecureLink): Outgoing {
    const { id, data } = encodeCommand(order.command);
    const { security, seal } = link.wrap(data);
    const sequence = this.#sequence;
    this.#sequence = sequence === 3 ? 1 : (sequence + 1) as FrameSequence;
    const fields = {
      address: this.#address,
      reply: false,
      sequence,
      check: this.#check,
      id,
      data,
    };
    const bytes = encodeFrame(security === undefined ? fields : { ...fields, security }, seal);
    this.#written = false;
    this.#current = { ...order, sequence, bytes, refusals: 0 };
    return this.repeat(this.#current);
  }

  /** The very same bytes once more. */
  repeat({ bytes, onWritten, replyMs }: Exchange): Outgoing {
    const first = !this.#written;
    this.#written = true;
    return { bytes, onWritten: first ? onWritten : undefined, replyMs };
  }

  /** Whether `frame` can be the answer to what was asked: BUSY, a reply, or neither. */
  match(frame: Frame): "busy" | "reply" | undefined {
    const exchange = this.#current;
    if (exchange === undefined || !frame.reply || frame.address !== this.#address) return undefined;
    const busy = frame.id === REPLY.busy && frame.security === undefined;
    // BUSY comes with sequence 0, whatever the command had.
    if (frame.sequence !== exchange.sequence && !(busy && frame.sequence === 0)) return undefined;
    // A reader answers with the check it was asked with; one byte of sum would let noise through.
    if (frame.check !== this.#check) return undefined;
    return busy ? "busy" : "reply";
  }

  /** It was answered: the next question may come. */
  end(): void {
    this.#current = undefined;
  }

  /** The conversation begins anew. */
  restart(): void {
    const lost = this.#current;
    this.#sequence = 0;
    this.#current = undefined;
    lost?.onLost?.();
  }
}

/** A command that may wait for ever, and of which nobody wants to hear. */
export function order(command: Command): Order {
  return { command };
}
