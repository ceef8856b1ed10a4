import { type ByteStream, type Clock, HalError } from "../../../hal/mod.ts";
import {
  ANSWER_BYTES,
  connectMessage,
  disconnectMessage,
  establishContextMessage,
  field,
  parseReaderStates,
  type ReaderState,
  RECEIVE_BYTES_MAX,
  RESULT,
  SCOPE_SYSTEM,
  STATES_BYTES,
  stopWaitingMessage,
  transmitMessage,
  VERSION_MAJOR,
  VERSION_MINORS,
  versionMessage,
  waitMessage,
} from "./messages.ts";

/** A contactless card answers within a second; the daemon powers it up first. */
const ANSWER_MS_MAX = 5_000;
/** More than a daemon ever sends at once. */
const HELD_BYTES_MAX = 2 * STATES_BYTES;

/** What the daemon said to a request: its answer, or why not. */
export type PcscResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly code: number };

/** A card that is connected. */
export interface PcscCard {
  readonly handle: number;
  /** 1 for T=0, 2 for T=1. */
  readonly protocol: number;
}

/** One conversation with pcscd. Its calls are made one after the other. */
export class PcscClient {
  readonly #stream: ByteStream;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #held: Uint8Array = new Uint8Array();
  #context = 0;

  private constructor(stream: ByteStream, clock: Clock, signal: AbortSignal) {
    this.#stream = stream;
    this.#clock = clock;
    this.#signal = signal;
  }

  /**
   * Agrees on a version and takes a context. `stream` stays the caller's; `signal` ends every call.
   *
   * @throws `HalError` `unsupported` for a daemon of another protocol, `permission` when it refuses
   * us, `protocol`, `timeout`, `disconnected`.
   */
  static async begin(stream: ByteStream, clock: Clock, signal: AbortSignal): Promise<PcscClient> {
    const client = new PcscClient(stream, clock, signal);
    await client.#agree();
    const answer = await client.#ask(establishContextMessage(), ANSWER_BYTES.establishContext);
    mustBe(field(answer, 0), SCOPE_SYSTEM);
    const code = field(answer, 8);
    if (code !== RESULT.success) throw refusal("it gives no context", code);
    client.#context = field(answer, 4);
    return client;
  }

  /** All readers now; from here on the daemon says when something changes. */
  async watch(): Promise<ReaderState[]> {
    return parseReaderStates(await this.#ask(waitMessage(), STATES_BYTES));
  }

  /** Waits for the change that {@link PcscClient.watch} asked for, however long it takes. */
  async changed(): Promise<void> {
    checkChange(await this.#receive(ANSWER_BYTES.readerStateChange, this.#signal));
  }

  /** Takes {@link PcscClient.watch} back, so that something else can be asked. */
  async unwatch(): Promise<void> {
    // The word that crossed this may be here already.
    const bytes = ANSWER_BYTES.readerStateChange;
    checkChange(await this.#ask(stopWaitingMessage(), bytes, bytes));
  }

  /** Connects the card in `reader`. */
  async connect(reader: string): Promise<PcscResult<PcscCard>> {
    const answer = await this.#ask(connectMessage(this.#context, reader), ANSWER_BYTES.connect);
    mustBe(field(answer, 0), this.#context);
    const code = field(answer, 148);
    return code === RESULT.success
      ? { ok: true, value: { handle: field(answer, 140), protocol: field(answer, 144) } }
      : { ok: false, code };
  }

  /** Lets go of `card`; one that is gone already does no harm. */
  async disconnect({ handle }: PcscCard): Promise<void> {
    const answer = await this.#ask(disconnectMessage(handle), ANSWER_BYTES.disconnect);
    mustBe(field(answer, 0), handle);
  }

  /** Sends `apdu` to `card` and returns its answer, status bytes last. */
  async transmit(card: PcscCard, apdu: Uint8Array): Promise<PcscResult<Uint8Array>> {
    const answer = await this.#ask(
      transmitMessage(card.handle, card.protocol, apdu),
      ANSWER_BYTES.transmit,
    );
    mustBe(field(answer, 0), card.handle);
    const code = field(answer, 28);
    if (code !== RESULT.success) return { ok: false, code };
    const length = field(answer, 24);
    if (length > RECEIVE_BYTES_MAX) {
      throw new HalError("protocol", `pcscd: an answer of ${length} bytes was not asked for`);
    }
    return { ok: true, value: await this.#inTime((signal) => this.#receive(length, signal)) };
  }

  async #agree(): Promise<void> {
    let minor = VERSION_MINORS[0]!;
    for (let attempt = 0; attempt < 2; attempt++) {
      const answer = await this.#ask(versionMessage(minor), ANSWER_BYTES.version);
      const [major, theirs, code] = [field(answer, 0), field(answer, 4), field(answer, 8)];
      if (code === RESULT.success) return;
      if (major !== VERSION_MAJOR || !VERSION_MINORS.includes(theirs)) {
        throw new HalError(
          "unsupported",
          `pcscd speaks protocol ${major}.${theirs}, this box 4.4 and 4.5; take Debian's pcscd`,
        );
      }
      minor = theirs;
    }
    throw new HalError("protocol", "pcscd: it refuses its own protocol version");
  }

  /** `earlyBytes`: what may have come before the question. */
  async #ask(request: Uint8Array, answerBytes: number, earlyBytes = 0): Promise<Uint8Array> {
    if (this.#held.length > earlyBytes) throw outOfStep();
    return await this.#inTime(async (signal) => {
      await this.#stream.write(request, signal);
      return await this.#receive(answerBytes, signal);
    });
  }

  /** Reads exactly `length` bytes. */
  async #receive(length: number, signal: AbortSignal): Promise<Uint8Array> {
    while (this.#held.length < length) {
      const more = await this.#stream.read(signal);
      if (more === null) {
        throw new HalError(
          "disconnected",
          "pcscd closed the connection; is this box's user allowed to use it (polkit)?",
        );
      }
      if (this.#held.length + more.length > HELD_BYTES_MAX) {
        throw outOfStep();
      }
      const joined = new Uint8Array(this.#held.length + more.length);
      joined.set(this.#held);
      joined.set(more, this.#held.length);
      this.#held = joined;
    }
    const taken = this.#held.slice(0, length);
    this.#held = this.#held.slice(length);
    return taken;
  }

  async #inTime<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const late = new AbortController();
    const cancel = this.#clock.schedule(ANSWER_MS_MAX, () => {
      late.abort(new HalError("timeout", `pcscd gave no answer in ${ANSWER_MS_MAX} ms`));
    });
    try {
      return await run(AbortSignal.any([this.#signal, late.signal]));
    } finally {
      cancel();
    }
  }
}

/** The word that something changed: it repeats the empty time-out, then a result. */
function checkChange(answer: Uint8Array): void {
  mustBe(field(answer, 0), 0);
  mustBe(field(answer, 4), RESULT.success);
}

/** Answers repeat the question's first field: one that does not is another's. */
function mustBe(got: number, expected: number): void {
  if (got !== expected) throw outOfStep();
}

function outOfStep(): HalError {
  return new HalError("protocol", "pcscd: it sends what was not asked for");
}

function refusal(what: string, code: number): HalError {
  return new HalError("io", `pcscd: ${what} (0x${code.toString(16)})`);
}
