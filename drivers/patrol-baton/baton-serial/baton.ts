/**
 * Downloads a baton: finds it, compares clocks, reads what it holds, and clears it once all is stored.
 * Every question may be asked again, so a pulled cable costs only time.
 *
 * @module
 */
import { type Cancel, HalError, type SerialPort } from "../../../hal/mod.ts";
import type { BatonChunk, PatrolBaton, SerialDriverHost } from "../../contract.ts";
import { LimitedLog } from "../../limited_log.ts";
import { Listeners } from "../../listeners.ts";
import { SerialLink } from "../../serial_link.ts";
import { type Answer, SerialQuestions } from "../../serial_questions.ts";
import { type Comparison, correctedMs } from "./correction.ts";
import { BatonFinder } from "./frame.ts";
import {
  answers,
  clearQuestion,
  clockQuestion,
  CODE,
  type Hello,
  helloQuestion,
  parseCleared,
  parseClock,
  parseHello,
  parseReads,
  READS_MAX,
  readsQuestion,
  refusalOf,
  setClockQuestion,
} from "./messages.ts";

/** How often an empty cradle is looked into. */
const LOOK_MS = 500;
/** How often a baton that lies there is asked whether it has read more. */
const ATTACHED_LOOK_MS = 2_000;
const ANSWER_MS = 500;
/** 64 reads with the longest tags take 1.8 s at 9600 baud. */
const READS_ANSWER_MS = 2_500;
/** A question is asked so often before the baton counts as gone. */
const ATTEMPTS = 3;
/** Comparisons of the clocks, of which the quickest counts. */
const COMPARISONS = 3;
/** Wait after a chunk that could not be stored. */
const STORE_RETRY_MS = 5_000;
/** Wait after an answer that cannot be right. */
const SPOILT_RETRY_MS = 5_000;
/** How long a download waits for a box that has just started to learn the time. */
const BOX_CLOCK_WAIT_MS = 60_000;
/** A clock that is off by less is left alone. */
const CLOCK_OFF_MS = 200;
/** A baton that does not take a setting is not worn out by it. */
const SETTINGS_MAX = 3;
/** Batons whose interrupted downloads are remembered; a school has some tens. */
const RESUMES_MAX = 64;

type Talk = SerialQuestions<Uint8Array>;
type State = "attached" | "detached" | "emptied";

/** One cradle. */
export class SerialBaton implements PatrolBaton, AsyncDisposable {
  readonly #host: SerialDriverHost;
  readonly #limited: LimitedLog;
  readonly #states: Listeners<[State]>;
  readonly #stores = new Set<(chunk: BatonChunk) => Promise<void>>();
  /** By baton and memory: the first read that is not stored yet. */
  readonly #resumes = new Map<string, number>();
  #attached = false;
  #link: SerialLink | undefined;

  private constructor(host: SerialDriverHost) {
    this.#host = host;
    this.#limited = new LimitedLog(host.clock, host.log);
    this.#states = new Listeners((cause) =>
      host.log("error", "a listener failed", { cause: String(cause) })
    );
  }

  /** Takes the line; a baton may come later. @throws the signal's reason. */
  static async open(host: SerialDriverHost, signal: AbortSignal): Promise<SerialBaton> {
    const baton = new SerialBaton(host);
    baton.#link = await SerialLink.open(host, {
      serve: (port, end) =>
        SerialQuestions.serve(
          port,
          host.clock,
          new BatonFinder(),
          (line, over) => baton.#talk(port, line, over),
          end,
        ),
      lost: () => baton.#setAttached(false),
    }, signal);
    return baton;
  }

  online(): boolean {
    return this.#attached;
  }

  onReads(stored: (chunk: BatonChunk) => Promise<void>): Cancel {
    const own = (chunk: BatonChunk) => stored(chunk);
    this.#stores.add(own);
    return () => this.#stores.delete(own);
  }

  onState(listener: (state: State) => void): Cancel {
    return this.#states.add(listener);
  }

  /** Gives the line back; idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#link?.[Symbol.asyncDispose]();
  }

  #setAttached(attached: boolean): void {
    if (this.#attached === attached) return;
    this.#attached = attached;
    this.#states.emit(attached ? "attached" : "detached");
  }

  /** Looks for a baton and attends to it, until the line is lost. */
  async #talk(port: SerialPort, line: Talk, signal: AbortSignal): Promise<void> {
    for (;;) {
      let waitMs = LOOK_MS;
      try {
        const hello = parseHello(
          (await this.#once(line, helloQuestion(), CODE.hello, signal)).frame,
        );
        await this.#attend(line, hello, signal);
      } catch (error) {
        if (signal.aborted || !(error instanceof HalError)) throw error;
        if (error.kind === "protocol") {
          this.#limited.warn(error.message, { port: port.settings.path });
          waitMs = SPOILT_RETRY_MS;
        } else if (error.kind !== "timeout") throw error;
      }
      this.#setAttached(false);
      await this.#host.clock.sleep(waitMs, signal);
    }
  }

  /** Attends to one baton until it does not answer any more, which is thrown. */
  async #attend(line: Talk, first: Hello, signal: AbortSignal): Promise<never> {
    this.#host.log("info", "a baton is attached", {
      baton: first.serial,
      firmware: first.firmware,
      reads: first.count,
    });
    this.#setAttached(true);
    let comparison = await this.#compare(line, signal);
    const untilMs = this.#host.clock.monotonicMs() + BOX_CLOCK_WAIT_MS;
    while (comparison === undefined && this.#host.clock.monotonicMs() < untilMs) {
      await this.#host.clock.sleep(ATTACHED_LOOK_MS, signal);
      await this.#ask(line, helloQuestion(), CODE.hello, signal);
      comparison = await this.#compare(line, signal);
    }
    if (comparison === undefined) {
      this.#host.log("warn", "the box's clock is not set: a baton's times are taken as they are", {
        baton: first.serial,
      });
    }
    let hello = first;
    let settings = 0;
    for (;;) {
      let waitMs = ATTACHED_LOOK_MS;
      if (hello.count > 0 && this.#stores.size > 0) {
        // What it has read meanwhile is looked for at once.
        waitMs = await this.#download(line, hello, comparison, signal) ? 0 : LOOK_MS;
      } else if (hello.count === 0 && needsSetting(comparison) && settings++ < SETTINGS_MAX) {
        // Only while it holds nothing: a read's time could not be corrected across a setting.
        await this.#setClock(line, signal);
        comparison = await this.#compare(line, signal);
      }
      if (waitMs > 0) await this.#host.clock.sleep(waitMs, signal);
      const next = parseHello((await this.#ask(line, helloQuestion(), CODE.hello, signal)).frame);
      if (next.serial !== first.serial) {
        throw new HalError("timeout", `baton ${first.serial} was changed for ${next.serial}`);
      }
      hello = next;
    }
  }

  /** Reads all that `hello` tells of, and clears it; false when the baton would not. */
  async #download(
    line: Talk,
    hello: Hello,
    comparison: Comparison | undefined,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { serial, memory, first, count } = hello;
    const key = `${serial} ${memory}`;
    const end = first + count;
    for (let from = Math.max(first, this.#resumes.get(key) ?? first); from < end;) {
      const most = Math.min(READS_MAX, end - from);
      const question = readsQuestion(memory, from, most);
      const answer = await this.#ask(line, question, CODE.reads, signal, READS_ANSWER_MS);
      if (refusalOf(answer.frame) !== undefined) return false;
      const held = parseReads(answer.frame, memory, from);
      const reads = held.slice(0, most).map(({ record, tag, atMs }) => ({
        record,
        tag,
        atWallMs: comparison === undefined ? atMs : correctedMs(atMs, comparison),
      }));
      await this.#store({ baton: serial, memory: String(memory), reads }, signal);
      from += reads.length;
      this.#remember(key, from);
    }
    // It refuses when it has read more meanwhile; that is downloaded next.
    const cleared = await this.#ask(line, clearQuestion(memory, end), CODE.clear, signal);
    if (refusalOf(cleared.frame) !== undefined) return false;
    parseCleared(cleared.frame);
    this.#resumes.delete(key);
    this.#host.log("info", "a baton was downloaded and cleared", { baton: serial, reads: count });
    this.#states.emit("emptied");
    return true;
  }

  /** Resolves once every listener has stored `chunk`. */
  async #store(chunk: BatonChunk, signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        const storing = Promise.all([...this.#stores].map((stored) => stored(chunk)));
        return await untilAborted(storing.then(() => {}), signal);
      } catch (cause) {
        if (signal.aborted) throw cause;
        this.#limited.warn("reads of a baton could not be stored; they are given again", {
          baton: chunk.baton,
          cause: String(cause),
        });
        await this.#host.clock.sleep(STORE_RETRY_MS, signal);
      }
    }
  }

  #remember(key: string, next: number): void {
    this.#resumes.delete(key);
    this.#resumes.set(key, next);
    if (this.#resumes.size > RESUMES_MAX) {
      this.#resumes.delete(this.#resumes.keys().next().value!);
    }
  }

  /** The clocks side by side; `undefined` while the box's own is not to be trusted. */
  async #compare(line: Talk, signal: AbortSignal): Promise<Comparison | undefined> {
    const { clock } = this.#host;
    if (clock.wallQuality() === "unsynchronised") return undefined;
    let best: { readonly tripMs: number; readonly comparison: Comparison } | undefined;
    for (let attempt = 0; attempt < COMPARISONS; attempt++) {
      const askedMs = clock.monotonicMs();
      const { frame } = await this.#ask(line, clockQuestion(attempt), CODE.clock, signal);
      const tripMs = clock.monotonicMs() - askedMs;
      const { attempt: answered, ...baton } = parseClock(frame);
      if (answered !== attempt) continue;
      if (best !== undefined && tripMs >= best.tripMs) continue;
      best = { tripMs, comparison: { baton, wallMs: clock.wallMs() - Math.round(tripMs / 2) } };
    }
    if (best === undefined) {
      throw new HalError("protocol", "the baton answered other questions about its clock");
    }
    return best.comparison;
  }

  async #setClock(line: Talk, signal: AbortSignal): Promise<void> {
    const { clock } = this.#host;
    // Asked once: the same question later would set it back. The next comparison shows how it went.
    const question = setClockQuestion(clock.wallMs());
    const { frame } = await this.#once(line, question, CODE.setClock, signal);
    if (refusalOf(frame) === undefined) this.#host.log("info", "a baton's clock was set");
  }

  /** Asks up to three times. */
  async #ask(
    line: Talk,
    question: Uint8Array,
    code: number,
    signal: AbortSignal,
    timeoutMs = ANSWER_MS,
  ): Promise<Answer<Uint8Array>> {
    for (let attempt = 1;; attempt++) {
      try {
        return await this.#once(line, question, code, signal, timeoutMs);
      } catch (error) {
        const again = error instanceof HalError && error.kind === "timeout" && attempt < ATTEMPTS;
        if (!again || signal.aborted) throw error;
      }
    }
  }

  #once(
    line: Talk,
    question: Uint8Array,
    code: number,
    signal: AbortSignal,
    timeoutMs = ANSWER_MS,
  ): Promise<Answer<Uint8Array>> {
    return line.ask(question, timeoutMs, (body) => answers(body, code), signal);
  }
}

function needsSetting(comparison: Comparison | undefined): boolean {
  if (comparison === undefined) return false;
  const { baton, wallMs } = comparison;
  return baton.setMs === undefined || Math.abs(wallMs - baton.nowMs) > CLOCK_OFF_MS;
}

/** `promise`, or the signal's reason if that comes first. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const aborted = () => reject(signal.reason);
    signal.addEventListener("abort", aborted, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", aborted));
  });
}
