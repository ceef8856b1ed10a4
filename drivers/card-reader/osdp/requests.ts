/**
 * Commands of which somebody awaits the answer: settings, texts, parts of a file. They wait behind
 * orders, and take turns with polls, so that a tap is never behind more than one of them.
 *
 * @module
 */
import type { Command } from "./commands.ts";
import type { Order } from "./orders.ts";
import type { Reply } from "./replies.ts";

/** Nobody has use for more at one reader at a time. */
const REQUESTS_MAX = 4;

/** Why a command has no answer. */
export class OsdpRequestError extends Error {
  /**
   * `offline`: it was not sent; `lost`: the conversation began anew before the answer, so that it may
   * have been obeyed or not; `unreadable`: the answer could not be read; `full`: too many wait.
   */
  readonly kind: "offline" | "lost" | "unreadable" | "full";

  /** Makes an error of `kind`. */
  constructor(kind: "offline" | "lost" | "unreadable" | "full", message: string) {
    super(message);
    this.name = "OsdpRequestError";
    this.kind = kind;
  }
}

interface Waiting {
  readonly command: Command;
  readonly replyMs: number | undefined;
  readonly answer: PromiseWithResolvers<Reply>;
}

/** What waits for one reader. */
export class Requests {
  readonly #waiting: Waiting[] = [];

  /** Whether nothing waits. */
  get empty(): boolean {
    return this.#waiting.length === 0;
  }

  /** Puts a command behind the others. @throws {@link OsdpRequestError}, later. */
  put(command: Command, replyMs: number | undefined): Promise<Reply> {
    if (this.#waiting.length >= REQUESTS_MAX) {
      return Promise.reject(new OsdpRequestError("full", "too many commands wait for the reader"));
    }
    const answer = Promise.withResolvers<Reply>();
    this.#waiting.push({ command, replyMs, answer });
    return answer.promise;
  }

  /** Takes the next one out, to be sent now. */
  take(): Order | undefined {
    const next = this.#waiting.shift();
    if (next === undefined) return undefined;
    const { command, replyMs, answer } = next;
    return {
      command,
      ...(replyMs === undefined ? {} : { replyMs }),
      onReply: (reply) => {
        if (reply !== undefined) return answer.resolve(reply);
        answer.reject(new OsdpRequestError("unreadable", "the reader's answer cannot be read"));
      },
      onLost: () => {
        answer.reject(new OsdpRequestError("lost", "the reader was lost before it answered"));
      },
    };
  }

  /** The conversation began anew: none of them is sent. */
  fail(): void {
    for (const { answer } of this.#waiting.splice(0)) {
      answer.reject(new OsdpRequestError("offline", "the reader is offline"));
    }
  }
}
