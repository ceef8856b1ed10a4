/**
 * Gives a reader a file, such as its firmware (FILETRANSFER, IEC 60839-11-5 §6 and §7), while it and
 * its neighbours go on reading cards. A transfer outlives lost sessions, pulled cables and reboots: it
 * goes on where it was, or begins anew if the reader says so.
 *
 * @module
 */
import { HalError } from "../../../hal/mod.ts";
import type { ReaderFile, ReaderIdentity } from "../../contract.ts";
import type { Conversation } from "./conversation.ts";
import { FRAME_BYTES_MAX } from "./frame.ts";
import type { Bench } from "./install_key.ts";
import { BITS_A_CHARACTER } from "./line_times.ts";
import { FILE_STATUS, NAK, type Reply } from "./replies.ts";
import { OsdpRequestError } from "./requests.ts";
import { waitOnline } from "./wait_online.ts";

/** Longest that one part may hold the line: a tap at another reader waits for so long. */
const PART_LINE_MS = 100;
/** Least of a file in one part, however slow the line is. */
const PART_BYTES_MIN = 32;
/** What a part's frame carries besides data: header, security block, code, MAC and check. */
const FRAME_AROUND_BYTES = 5 + 2 + 1 + 4 + 2;
/** Type, size, offset and length. */
const PART_HEAD_BYTES = 11;
const BLOCK_BYTES = 16;
/** A reader writes its flash before it answers. */
const REPLY_MS = 1_000;
/** How long a reader may be away in the middle: a cable that is pulled, a power cut. */
const AWAY_MS_MAX = 600_000;
/** How often it may be lost, and how often it may ask to begin anew. */
const LOSSES_MAX = 50;
const RESTARTS_MAX = 3;
/** How long it may work on the file once it has all of it. */
const FINISHING_MS_MAX = 600_000;
/** How often a reader that is at work is asked, where it does not say. */
const FINISHING_ASK_MS = 1_000;
/** A reader that wants nothing but the file is still polled, so that its session lasts (8 s). */
const EXCLUSIVE_PACE_MS = 2_000;
/** FILETRANSFER's size and offset have 32 bits; no reader's firmware comes near. */
export const FILE_BYTES_MAX = 64 << 20;
/** The one type that the standard gives: a file that this very reader understands. */
const TYPE_OPAQUE = 1;

/** What a transfer needs besides the reader: how long a part holds the line depends on its rate. */
export interface FileBench extends Bench {
  readonly baudRate: () => number;
}

/** How far a transfer is. */
export interface OsdpFileProgress {
  /** Parts are sent, the reader is away, it is at work on the whole file, or restarts with it. */
  readonly state: "sending" | "away" | "finishing" | "rebooting";
  /** Bytes that the reader has acknowledged. */
  readonly sentBytes: number;
  readonly sizeBytes: number;
}

/** How a file is given. */
export interface OsdpFileOptions {
  /** Default 1; 128 to 255 are the manufacturer's. */
  readonly type?: number;
  /** Where to go on, after the box was restarted; a reader that wants it so is begun anew. Default 0. */
  readonly fromOffset?: number;
  /** An aborted transfer is to go on another time: the reader is not told to forget it. */
  readonly keepForLater?: boolean;
  /** Called with each step. */
  readonly onProgress?: (progress: OsdpFileProgress) => void;
}

/** How a transfer ended. */
export interface OsdpFileResult {
  /** What the reader says of itself now. */
  readonly identity: ReaderIdentity | undefined;
  /** How often it was lost, and how often it was begun anew. */
  readonly losses: number;
  readonly restarts: number;
}

/** Readers that are being given a file: parts of two would make one that is neither. */
const busy = new WeakSet<Conversation>();

/** See {@link import("./bus.ts").OsdpBus.sendFile}. */
export async function sendFile(
  conversation: Conversation,
  bench: FileBench,
  source: ReaderFile,
  options: OsdpFileOptions,
): Promise<OsdpFileResult> {
  const { size } = source;
  const { type = TYPE_OPAQUE, fromOffset = 0 } = options;
  if (!Number.isInteger(size) || size < 1 || size > FILE_BYTES_MAX) {
    throw new RangeError(`a file of ${size} bytes; expected 1 to ${FILE_BYTES_MAX}`);
  }
  if (!Number.isInteger(fromOffset) || fromOffset < 0 || fromOffset >= size) {
    throw new RangeError(`begin at ${fromOffset}: expected a place in the file`);
  }
  if (busy.has(conversation)) throw new RangeError("the reader is being given a file already");
  busy.add(conversation);
  const transfer = new Transfer(conversation, bench, source, { ...options, type, fromOffset });
  try {
    return await transfer.run();
  } catch (cause) {
    // Whoever gives up says so, if there is still somebody to say it to.
    if (bench.signal.aborted && !options.keepForLater) {
      conversation.request({ kind: "abort" }).catch(() => {});
    }
    throw cause;
  } finally {
    conversation.agenda.paceMs = undefined;
    busy.delete(conversation);
  }
}

type FileStatus = Reply & { kind: "fileStatus" };

class Transfer {
  readonly #conversation: Conversation;
  readonly #bench: FileBench;
  readonly #source: ReaderFile;
  readonly #options: OsdpFileOptions & { readonly type: number; readonly fromOffset: number };
  readonly #firmware: string | undefined;
  #offset: number;
  #receiveMax = 0;
  #losses = 0;
  #restarts = 0;
  /** Whether the reader may lack what lies before the offset. */
  #doubtful: boolean;
  #finishingSinceMs: number | undefined;

  constructor(
    conversation: Conversation,
    bench: FileBench,
    source: ReaderFile,
    options: OsdpFileOptions & { readonly type: number; readonly fromOffset: number },
  ) {
    this.#conversation = conversation;
    this.#bench = bench;
    this.#source = source;
    this.#options = options;
    this.#firmware = conversation.presence.identity?.firmware;
    this.#offset = options.fromOffset;
    this.#doubtful = options.fromOffset > 0;
  }

  async run(): Promise<OsdpFileResult> {
    for (;;) {
      this.#live();
      const { status, sent } = await this.#part();
      if (status === undefined) {
        // It may have restarted with the whole file before we heard that it has it.
        if (await this.#away() && this.#offset + sent >= this.#source.size && this.#isNew()) break;
        continue;
      }
      if (await this.#judge(status, sent)) break;
    }
    return {
      identity: this.#conversation.presence.identity,
      losses: this.#losses,
      restarts: this.#restarts,
    };
  }

  /** Sends what comes next; no status: nobody knows whether it arrived. */
  async #part(): Promise<{ readonly status: FileStatus | undefined; readonly sent: number }> {
    const { size } = this.#source;
    const sent = Math.min(size - this.#offset, this.#partBytes());
    const part = sent === 0 ? new Uint8Array() : await this.#source.read(this.#offset, sent);
    if (part.length !== sent) {
      throw new HalError("io", `the file ends at ${this.#offset + part.length} of ${size} bytes`);
    }
    this.#live();
    let reply: Reply;
    try {
      const { type } = this.#options;
      const command = { kind: "file", type, size, offset: this.#offset, part } as const;
      reply = await this.#conversation.request(command, REPLY_MS);
    } catch (cause) {
      if (!(cause instanceof OsdpRequestError) || cause.kind === "full") throw cause;
      return { status: undefined, sent };
    }
    if (reply.kind === "nak") throw refused(reply.code);
    if (reply.kind !== "fileStatus") {
      throw new HalError("protocol", "the reader answers a file with something else");
    }
    return { status: reply, sent };
  }

  /** Does what the reader says; `true` when it has the file. */
  async #judge(status: FileStatus, sent: number): Promise<boolean> {
    const { receiveMax, interleave, delayMs } = status;
    if (receiveMax > 0) this.#receiveMax = receiveMax;
    const polled = interleave || status.pollFirst;
    this.#conversation.agenda.paceMs = polled ? undefined : EXCLUSIVE_PACE_MS;
    if (status.leaveChannel && this.#conversation.link.active) {
      throw new HalError(
        "unsupported",
        "the reader wants the file outside of the secure channel, which its key rules out; see its manual",
      );
    }
    if (status.status < 0) {
      this.#startOver(status.status);
      return false;
    }
    this.#offset += sent;
    const whole = this.#offset >= this.#source.size;
    if (whole && status.status === FILE_STATUS.processed) return true;
    if (status.status === FILE_STATUS.rebooting) {
      if (!whole) {
        throw new HalError("protocol", "the reader restarts before it has the whole file");
      }
      await this.#reboot();
      return true;
    }
    if (!whole) {
      this.#tell("sending");
      if (delayMs > 0) await this.#sleep(delayMs);
      return false;
    }
    // It has everything and is at work: it is asked with empty parts until it is done.
    const nowMs = this.#bench.clock.monotonicMs();
    this.#finishingSinceMs ??= nowMs;
    if (nowMs - this.#finishingSinceMs > FINISHING_MS_MAX) {
      throw new HalError("timeout", "the reader has the file and does not come to an end with it");
    }
    this.#tell("finishing");
    await this.#sleep(delayMs > 0 ? delayMs : FINISHING_ASK_MS);
    return false;
  }

  #startOver(status: number): void {
    // A file that it did not get from the beginning may only seem bad to it.
    const mayBeOurs = status === FILE_STATUS.aborted || this.#doubtful;
    if (!mayBeOurs || this.#restarts >= RESTARTS_MAX) throw rejected(status);
    this.#restarts++;
    this.#offset = 0;
    this.#doubtful = false;
    this.#finishingSinceMs = undefined;
    this.#tell("sending");
  }

  /** Waits for a reader that was lost. */
  async #away(): Promise<true> {
    this.#losses++;
    this.#doubtful ||= this.#offset > 0;
    const back = this.#losses <= LOSSES_MAX && await this.#waitOnline("away");
    if (back) return true;
    throw new HalError(
      "timeout",
      `the reader was lost at ${this.#offset} of ${this.#source.size} bytes; mend the line and send the file again`,
    );
  }

  async #reboot(): Promise<void> {
    // It said that it goes; what it answers until then is the old one still.
    const gone = this.#bench.clock.monotonicMs() + this.#rebootMs;
    this.#tell("rebooting");
    while (this.#conversation.presence.online && this.#bench.clock.monotonicMs() < gone) {
      if (this.#isNew()) return;
      await this.#sleep(FINISHING_ASK_MS);
    }
    if (await this.#waitOnline("rebooting")) return;
    throw new HalError("timeout", "the reader took the file, restarted, and does not answer");
  }

  /** A reboot shorter than this is not noticed as an outage. */
  readonly #rebootMs = 12_000;

  async #waitOnline(state: "away" | "rebooting"): Promise<boolean> {
    this.#tell(state);
    return await waitOnline(this.#conversation, this.#bench, AWAY_MS_MAX);
  }

  #isNew(): boolean {
    const { online, identity } = this.#conversation.presence;
    return online && identity !== undefined && identity.firmware !== this.#firmware;
  }

  /** How much of the file goes into the next part. */
  #partBytes(): number {
    const lineBytes = Math.floor(PART_LINE_MS * this.#bench.baudRate() / 1000 / BITS_A_CHARACTER);
    const frameBytes = Math.min(
      FRAME_BYTES_MAX,
      this.#conversation.abilities.receiveBytes,
      this.#receiveMax > 0 ? this.#receiveMax : Infinity,
      Math.max(lineBytes, FRAME_AROUND_BYTES + PART_HEAD_BYTES + PART_BYTES_MIN),
    );
    const room = frameBytes - FRAME_AROUND_BYTES;
    // Encrypted, it fills whole blocks and is padded by at least one byte.
    const data = this.#conversation.link.active ? room - room % BLOCK_BYTES - 1 : room;
    return Math.max(data - PART_HEAD_BYTES, 1);
  }

  #tell(state: OsdpFileProgress["state"]): void {
    this.#options.onProgress?.({
      state,
      sentBytes: Math.min(this.#offset, this.#source.size),
      sizeBytes: this.#source.size,
    });
  }

  async #sleep(delayMs: number): Promise<void> {
    await this.#bench.clock.sleep(
      delayMs,
      AbortSignal.any([this.#bench.signal, this.#bench.closed]),
    );
  }

  #live(): void {
    this.#bench.signal.throwIfAborted();
    this.#bench.closed.throwIfAborted();
  }
}

function refused(code: number): HalError {
  if (code === NAK.unknownCommand) {
    return new HalError("unsupported", "the reader takes no files by OSDP; see its manual");
  }
  return new HalError("protocol", `the reader refuses the file (NAK ${code})`);
}

function rejected(status: number): HalError {
  switch (status) {
    case FILE_STATUS.unrecognised:
      return new HalError(
        "protocol",
        "the reader does not recognise the file; is it for this model?",
      );
    case FILE_STATUS.malformed:
      return new HalError("protocol", "the reader finds the file damaged; fetch it again");
    default:
      return new HalError("protocol", `the reader gives the file up (status ${status})`);
  }
}
