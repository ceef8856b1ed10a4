/**
 * What the driver does with the secure channel of one reader: when it is made, what is believed,
 * what an installer is told when it cannot be had, and how a new key gets into the reader.
 *
 * @module
 */
import type { DriverLog } from "../../contract.ts";
import type { Command, Message } from "./commands.ts";
import type { Frame, FrameSeal, SecurityBlock } from "./frame.ts";
import { NAK, REPLY } from "./replies.ts";
import {
  type BaseKey,
  type HandshakeResult,
  type RandomSource,
  SecureChannel,
} from "./secure_channel.ts";
import { SCBK_D } from "./secure_crypto.ts";

/** Wait after the first failure; it doubles up to the most, so that a reader is back within 10 s. */
const RETRY_MS_MIN = 250;
const RETRY_MS_MAX = 4_000;
/** A session that lasted for so long was a good one: the next loss is the first again. */
const GOOD_SESSION_MS = 10_000;

/** Where a base key comes from. Called for each handshake; may throw, with a message to read. */
export type KeySource = () => Uint8Array;

/** Why a reader's secure channel cannot be made. */
export type LinkFault = "no-key" | "unknown" | "refused" | Exclude<HandshakeResult, "ok">;

/** What a frame from the reader was. */
export type Verdict =
  /** No answer to what was asked. */
  | { readonly kind: "stray" }
  /** An answer that may be believed. */
  | { readonly kind: "message"; readonly message: Message }
  /** The handshake, or an installation, goes on with {@link SecureLink.step}. */
  | { readonly kind: "step" }
  /** The session is open for traffic. */
  | { readonly kind: "ready" }
  /** The reader is to be started anew at once, under the key that it was given. */
  | { readonly kind: "again" }
  /** There was a session, and there is none any more. */
  | { readonly kind: "lost"; readonly why: string }
  /** The session cannot be made; the log has said why. */
  | { readonly kind: "failed" };

interface Install {
  readonly key: Uint8Array;
  readonly from: KeySource | "default";
  /** The reader has acknowledged the key. */
  taken: boolean;
  readonly done: () => void;
  readonly failed: (why: string) => void;
  lastFault: string;
}

const ADVICE = {
  "no-key":
    "the reader's key cannot be had; keyFile must hold 32 hex digits and be in the data folder",
  unknown: "the reader knows no secure channel; take its key out of box.yaml, or replace it",
  "default-key":
    "the reader has no key but the public default; install its key, nothing is sent until then",
  "wrong-key":
    "the reader has another key; put that into box.yaml, or reset the reader and install it",
  refused:
    "the reader refuses the secure channel; it has no such key or is not in installation mode",
  strange: "the reader answers the secure channel's handshake with something else",
} as const satisfies Readonly<Record<LinkFault, string>>;

/** The secure channel of one reader. */
export class SecureLink {
  readonly #channel: SecureChannel;
  readonly #log: DriverLog;
  #source: KeySource | undefined;
  #install: Install | undefined;
  #failures = 0;
  #openedMs = -Infinity;

  /** Makes a link that is down. Without `source` the reader is spoken to in clear text. */
  constructor(source: KeySource | undefined, log: DriverLog, random?: RandomSource) {
    this.#channel = new SecureChannel(random);
    this.#source = source;
    this.#log = log;
  }

  /** Whether there is a key, or one is being installed: then nothing goes past the channel. */
  get active(): boolean {
    return this.#source !== undefined || this.#install !== undefined;
  }

  /** Whether what is sent now goes through the channel. */
  get up(): boolean {
    return this.#channel.at === "up";
  }

  /** Forgets the session; its keys are of no use to anybody from now on. */
  reset(): void {
    this.#channel.reset();
  }

  /** How long to wait before the next attempt. */
  retryMs(nowMs: number): number {
    if (nowMs - this.#openedMs > GOOD_SESSION_MS && this.#openedMs > -Infinity) this.#failures = 0;
    this.#openedMs = -Infinity;
    const waitMs = Math.min(RETRY_MS_MIN * 2 ** this.#failures, RETRY_MS_MAX);
    if (this.#failures < 10) this.#failures++;
    return waitMs;
  }

  /** The next command of the handshake or installation; `undefined`: there is no key to do it with. */
  step(): Command | undefined {
    if (this.#channel.at === "proving") return this.#channel.prove();
    if (this.#channel.at === "up") return { kind: "keySet", key: this.#install!.key };
    try {
      return this.#channel.challenge(this.#base());
    } catch (cause) {
      this.#fault("no-key", { cause: (cause as Error).message });
      return undefined;
    }
  }

  /** What goes round the data of a command that is sent now. */
  wrap(data: Uint8Array): { readonly security?: SecurityBlock; readonly seal?: FrameSeal } {
    return this.#channel.wrap(data);
  }

  /** Judges a frame that has the right address, number and check. */
  read(frame: Frame, command: Command, nowMs: number): Verdict {
    const plain = frame.security === undefined;
    const message = { kind: "message", message: { id: frame.id, data: frame.data } } as const;
    if (!this.active) return plain ? message : { kind: "stray" };
    // It heard noise: nothing is believed for it, the same bytes just go again.
    if (plain && frame.id === REPLY.nak && frame.data[0] === NAK.check) return message;
    switch (this.#channel.at) {
      case "down": {
        // Nobody has proved anything: all that is listened to is who it says it is.
        const harmless = frame.id === REPLY.identity || frame.id === REPLY.capabilities ||
          frame.id === REPLY.nak;
        return plain && harmless ? message : { kind: "stray" };
      }
      case "challenged":
      case "proving":
        return this.#handshake(frame, nowMs);
      case "up":
        return this.#traffic(frame, command, message);
      default:
        return this.#channel.at satisfies never;
    }
  }

  /**
   * Puts a new key into the reader, in a session under the public default key or its current one; one
   * at a time. The conversation has to begin anew for it. Calls either `done` or `failed`, unless it is abandoned.
   *
   * @throws RangeError while another one is being installed, or when there is no current key.
   */
  install(
    key: Uint8Array,
    from: "default" | "current",
    done: () => void,
    failed: (why: string) => void,
  ): void {
    if (this.#install !== undefined) throw new RangeError("a key is being installed already");
    const under = from === "default" ? "default" : this.#source;
    if (under === undefined) {
      throw new RangeError("the reader has no key in box.yaml; install from the default key");
    }
    this.#install = { key, from: under, taken: false, done, failed, lastFault: "no answer" };
    this.#failures = 0;
    this.reset();
  }

  /** Gives an installation up; says what was in its way. */
  abandon(): string {
    const install = this.#install;
    this.#install = undefined;
    this.reset();
    if (install === undefined) return "";
    return install.taken
      ? "the reader took the key but did not come back under it"
      : install.lastFault;
  }

  #base(): BaseKey {
    const install = this.#install;
    if (install === undefined) return { key: this.#source!(), own: true };
    if (install.taken) return { key: install.key, own: true };
    if (install.from === "default") return { key: SCBK_D, own: false };
    return { key: install.from(), own: true };
  }

  #handshake(frame: Frame, nowMs: number): Verdict {
    if (frame.security === undefined && frame.id === REPLY.nak) {
      if (frame.data[0] === NAK.sequence) return { kind: "lost", why: "the reader lost count" };
      return this.#fault(frame.data[0] === NAK.unknownCommand ? "unknown" : "refused");
    }
    const result = this.#channel.take(frame);
    if (result !== "ok") return this.#fault(result);
    if (this.#channel.at !== "up") return { kind: "step" };
    this.#openedMs = nowMs;
    const install = this.#install;
    if (install === undefined) return { kind: "ready" };
    if (!install.taken) return { kind: "step" };
    this.#install = undefined;
    this.#source = () => install.key;
    this.#log("info", "the reader's new key is installed");
    install.done();
    return { kind: "ready" };
  }

  #traffic(frame: Frame, command: Command, clear: Verdict & { kind: "message" }): Verdict {
    const message = frame.security === undefined ? undefined : this.#channel.open(frame);
    if (command.kind === "keySet") {
      // Its acknowledgement may come in clear text: the session under the new key is the proof.
      const answer = message ?? (frame.security === undefined ? clear.message : undefined);
      if (answer?.id !== REPLY.ack) return this.#keyRefused(message);
      this.#install!.taken = true;
      return { kind: "again" };
    }
    if (message !== undefined) {
      const lost = message.id === REPLY.nak &&
        (message.data[0] === NAK.secureChannelNeeded ||
          message.data[0] === NAK.secureChannelCondition || message.data[0] === NAK.sequence);
      return lost ? { kind: "lost", why: "refused" } : { kind: "message", message };
    }
    if (frame.security !== undefined) return { kind: "lost", why: "a wrong MAC" };
    return { kind: "lost", why: frame.id === REPLY.nak ? "a NAK in clear text" : "clear text" };
  }

  #keyRefused(answer: Message | undefined): Verdict {
    const install = this.#install!;
    this.#install = undefined;
    install.failed(
      answer === undefined
        ? "the session was lost before the reader's answer; it may have taken the key"
        : "the reader refuses the key",
    );
    return { kind: "failed" };
  }

  #fault(fault: LinkFault, fields: Readonly<Record<string, string>> = {}): Verdict {
    const advice = ADVICE[fault];
    if (this.#install !== undefined) this.#install.lastFault = advice;
    this.#log("error", advice, fields);
    return { kind: "failed" };
  }
}
