/**
 * The reader's side of the secure channel, from the standard (IEC 60839-11-5 annex D). Shares no code
 * with the driver, so that a mistake in one of them shows.
 *
 * @module
 */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import type { ReceivedCommand } from "./frames.ts";

const DEFAULT_KEY = Uint8Array.from("0123456789:;<=>?", (c) => c.charCodeAt(0));

/** A reply with its security block, still to be framed. */
export interface SecureReply {
  /** The security block from its type on; empty for clear text. */
  readonly scs: readonly number[];
  readonly code: number;
  readonly data: ArrayLike<number>;
}

interface Session {
  readonly enc: Uint8Array;
  readonly mac1: Uint8Array;
  readonly mac2: Uint8Array;
  readonly serverCryptogram: Uint8Array;
  open: boolean;
  /** Whole MAC of the last command, and of the last reply. */
  commandMac: Uint8Array;
  replyMac: Uint8Array;
}

/** Keys and session of one simulated reader. */
export class SecureReader {
  /** Its own key, if one was ever installed. */
  key: Uint8Array | undefined;
  /** It lets itself be spoken to under the default key. */
  installMode: boolean;
  readonly #cuid: Uint8Array;
  #session: Session | undefined;

  /** Makes a reader without session. `cuid` has 8 bytes. */
  constructor(key: Uint8Array | undefined, installMode: boolean, cuid: Uint8Array) {
    this.key = key;
    this.installMode = installMode;
    this.#cuid = cuid;
  }

  /** Whether commands may come in the secure channel. */
  get open(): boolean {
    return this.#session?.open === true;
  }

  /** Forgets the session. */
  drop(): void {
    this.#session = undefined;
  }

  /** CHLNG: begins a session. `undefined`: it has no such key. */
  challenge({ scsData, data }: ReceivedCommand): SecureReply | undefined {
    this.#session = undefined;
    if (data.length !== 8 || scsData.length !== 1) return undefined;
    const wantsOwn = scsData[0] !== 0;
    // In installation mode without a key it offers what it has, and says so in its block.
    const own = wantsOwn && this.key !== undefined;
    if (!own && !this.installMode) return undefined;
    const key = own ? this.key! : DEFAULT_KEY;
    const part = (which: number) => {
      const head = [1, which, ...data.subarray(0, 6)];
      return one(key, Uint8Array.from([...head, 0, 0, 0, 0, 0, 0, 0, 0]));
    };
    const enc = part(0x82);
    const random = randomBytes(8);
    this.#session = {
      enc,
      mac1: part(0x01),
      mac2: part(0x02),
      serverCryptogram: one(enc, Uint8Array.from([...random, ...data])),
      open: false,
      commandMac: new Uint8Array(16),
      replyMac: new Uint8Array(16),
    };
    const cryptogram = one(enc, Uint8Array.from([...data, ...random]));
    return {
      scs: [0x12, own ? 1 : 0],
      code: 0x76,
      data: [...this.#cuid, ...random, ...cryptogram],
    };
  }

  /** SCRYPT: opens the session, or tells that the cryptogram was wrong. */
  prove({ data }: ReceivedCommand): SecureReply | undefined {
    const session = this.#session;
    if (session === undefined || session.open) return undefined;
    if (!equal(data, session.serverCryptogram)) {
      this.#session = undefined;
      return { scs: [0x14, 0], code: 0x78, data: new Uint8Array(16) };
    }
    session.open = true;
    session.replyMac = one(session.mac2, one(session.mac1, data));
    return { scs: [0x14, 1], code: 0x78, data: session.replyMac };
  }

  /** Verifies and decrypts a command; `undefined` when it is not from whom the session is with. */
  unseal(command: ReceivedCommand): Uint8Array | undefined {
    const session = this.#session;
    if (session?.open !== true) return undefined;
    const mac = this.#mac(session, session.replyMac, command.covered);
    if (!equal(mac.subarray(0, 4), command.mac)) return undefined;
    session.commandMac = mac;
    if (command.scs === 0x15) return command.data;
    if (command.data.length % 16 !== 0) return undefined;
    const iv = session.replyMac.map((byte) => ~byte);
    const decipher = createDecipheriv("aes-128-cbc", session.enc, iv).setAutoPadding(false);
    const clear = [...decipher.update(command.data), ...decipher.final()];
    while (clear.at(-1) === 0) clear.pop();
    return clear.pop() === 0x80 ? Uint8Array.from(clear) : undefined;
  }

  /** Encrypts the data of a reply in the session. */
  encrypt(data: ArrayLike<number>): Uint8Array {
    const { enc, commandMac } = this.#session!;
    const clear = [...Array.from(data), 0x80];
    while (clear.length % 16 !== 0) clear.push(0);
    const iv = commandMac.map((byte) => ~byte);
    const cipher = createCipheriv("aes-128-cbc", enc, iv).setAutoPadding(false);
    return Uint8Array.from([...cipher.update(Uint8Array.from(clear)), ...cipher.final()]);
  }

  /** Authenticates a reply, and chains the next command to it. */
  readonly seal = (covered: Uint8Array): Uint8Array => {
    const session = this.#session!;
    session.replyMac = this.#mac(session, session.commandMac, covered);
    return session.replyMac.slice(0, 4);
  };

  #mac({ mac1, mac2 }: Session, chained: Uint8Array, covered: Uint8Array): Uint8Array {
    const bytes = [...covered];
    if (bytes.length % 16 !== 0) bytes.push(0x80);
    while (bytes.length % 16 !== 0) bytes.push(0);
    let mac = chained;
    for (let at = 0; at < bytes.length; at += 16) {
      const mixed = mac.map((byte, i) => byte ^ bytes[at + i]!);
      mac = one(at + 16 === bytes.length ? mac2 : mac1, mixed);
    }
    return mac;
  }
}

function one(key: Uint8Array, block: Uint8Array): Uint8Array {
  const cipher = createCipheriv("aes-128-ecb", key, null).setAutoPadding(false);
  return Uint8Array.from([...cipher.update(block), ...cipher.final()]);
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
