/**
 * The controller's side of one secure channel (IEC 60839-11-5 annex D): handshake, and what is
 * chained from frame to frame. It decides nothing; `secure_link.ts` does.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import type { Command, Message } from "./commands.ts";
import type { Frame, FrameSeal, SecurityBlock } from "./frame.ts";
import { REPLY } from "./replies.ts";
import {
  clientCryptogram,
  decryptData,
  encryptData,
  frameMac,
  initialReplyMac,
  RANDOM_BYTES,
  sameBytes,
  serverCryptogram,
  type SessionKeys,
  sessionKeys,
  wireMac,
} from "./secure_crypto.ts";

/** Types of security blocks (annex D.1.3). */
const SCS = {
  challenge: 0x11,
  challengeReply: 0x12,
  cryptogram: 0x13,
  initialMac: 0x14,
  command: 0x15,
  reply: 0x16,
  commandEncrypted: 0x17,
  replyEncrypted: 0x18,
} as const;
const NO_DATA = new Uint8Array();
const CUID_BYTES = 8;
const CCRYPT_BYTES = CUID_BYTES + RANDOM_BYTES + 16;

/** Gives so many random bytes; only a test that replays a conversation has another source. */
export type RandomSource = (bytes: number) => Uint8Array;

const systemRandom: RandomSource = (bytes) => new Uint8Array(randomBytes(bytes));

/** Whether the key is the reader's own, or the one that everybody knows. */
export type BaseKey = { readonly key: Uint8Array; readonly own: boolean };

/** How an answer to the handshake was. */
export type HandshakeResult = "ok" | "default-key" | "wrong-key" | "refused" | "strange";

type State =
  | { readonly at: "down" }
  | { readonly at: "challenged"; readonly base: BaseKey; readonly random: Uint8Array }
  | {
    readonly at: "proving";
    readonly base: BaseKey;
    readonly keys: SessionKeys;
    readonly server: Uint8Array;
  }
  | { readonly at: "up"; readonly keys: SessionKeys };

/** One secure channel, from the challenge on. */
export class SecureChannel {
  readonly #random: RandomSource;
  #state: State = { at: "down" };
  /** Whole MACs of the last command and the last reply. */
  #commandMac: Uint8Array = NO_DATA;
  #replyMac: Uint8Array = NO_DATA;

  /** Makes one that is down. */
  constructor(random: RandomSource = systemRandom) {
    this.#random = random;
  }

  /** How far it is. */
  get at(): State["at"] {
    return this.#state.at;
  }

  /** Forgets the session and its keys. */
  reset(): void {
    this.#state = { at: "down" };
    this.#commandMac = NO_DATA;
    this.#replyMac = NO_DATA;
  }

  /** The command that begins a session (CHLNG). */
  challenge(base: BaseKey): Command {
    const random = this.#random(RANDOM_BYTES);
    this.#state = { at: "challenged", base, random };
    return { kind: "challenge", random };
  }

  /** The command that answers the reader's proof with ours (SCRYPT). */
  prove(): Command {
    if (this.#state.at !== "proving") throw new TypeError("the reader has proved nothing yet");
    return { kind: "cryptogram", cryptogram: this.#state.server };
  }

  /** What goes round the data of a command that is sent now. */
  wrap(data: Uint8Array): { readonly security?: SecurityBlock; readonly seal?: FrameSeal } {
    const state = this.#state;
    switch (state.at) {
      case "down":
        return {};
      case "challenged":
        return { security: { type: SCS.challenge, data: keyByte(state.base) } };
      case "proving":
        return { security: { type: SCS.cryptogram, data: keyByte(state.base) } };
      case "up": {
        const { keys } = state;
        const type = data.length === 0 ? SCS.command : SCS.commandEncrypted;
        return {
          security: { type, data: NO_DATA },
          seal: {
            encrypt: (clear) => encryptData(keys, this.#replyMac, clear),
            mac: (covered) => {
              this.#commandMac = frameMac(keys, this.#replyMac, covered);
              return wireMac(this.#commandMac);
            },
          },
        };
      }
      default:
        return state satisfies never;
    }
  }

  /** Takes the answer to a command of the handshake. */
  take({ security, id, data }: Frame): HandshakeResult {
    const state = this.#state;
    if (state.at === "challenged") {
      if (security?.type !== SCS.challengeReply || id !== REPLY.cryptogram) return "strange";
      if (data.length !== CCRYPT_BYTES) return "strange";
      // Never the default key unless it was asked for: whatever is sent under it is public.
      if (state.base.own && security.data[0] === 0) return "default-key";
      const readerRandom = data.subarray(CUID_BYTES, CUID_BYTES + RANDOM_BYTES);
      const keys = sessionKeys(state.base.key, state.random);
      const wanted = clientCryptogram(keys, state.random, readerRandom);
      if (!sameBytes(wanted, data.subarray(CUID_BYTES + RANDOM_BYTES))) return "wrong-key";
      this.#state = {
        at: "proving",
        base: state.base,
        keys,
        server: serverCryptogram(keys, state.random, readerRandom),
      };
      return "ok";
    }
    if (state.at !== "proving") return "strange";
    if (security?.type !== SCS.initialMac || id !== REPLY.initialMac) return "strange";
    const wanted = initialReplyMac(state.keys, state.server);
    if (security.data[0] !== 1 || !sameBytes(wanted, data)) return "refused";
    this.#state = { at: "up", keys: state.keys };
    this.#replyMac = wanted;
    return "ok";
  }

  /** Verifies and decrypts a reply to the last command; `undefined` when it is not authentic. */
  open({ security, id, data, mac, bytes, check }: Frame): Message | undefined {
    const state = this.#state;
    if (state.at !== "up" || mac === undefined) return undefined;
    const type = security!.type;
    // An empty reply marked as a command, or as encrypted, is wrong and harmless, and it is sold.
    const known = type === SCS.reply || type === SCS.replyEncrypted ||
      (type === SCS.commandEncrypted && data.length === 0);
    if (!known) return undefined;
    const macAt = bytes.length - (check === "crc" ? 2 : 1) - mac.length;
    const whole = frameMac(state.keys, this.#commandMac, bytes.subarray(0, macAt));
    if (!sameBytes(wireMac(whole), mac)) return undefined;
    const encrypted = type === SCS.replyEncrypted && data.length > 0;
    const clear = encrypted ? decryptData(state.keys, this.#commandMac, data) : data;
    if (clear === undefined) return undefined;
    this.#replyMac = whole;
    return { id, data: clear };
  }
}

function keyByte({ own }: BaseKey): Uint8Array {
  return Uint8Array.of(own ? 1 : 0);
}
