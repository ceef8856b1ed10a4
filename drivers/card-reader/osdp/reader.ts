/**
 * The conversation with one reader: what to say to it next, and what its replies mean. Knows no
 * port and no timer; the bus asks and tells.
 *
 * @module
 */
import type { Cancel, Clock } from "../../../hal/mod.ts";
import type {
  CardReader,
  DriverLog,
  InputLine,
  OfflineReason,
  OutputLine,
  ReaderEvent,
  ReaderFeedback,
  ReaderIdentity,
} from "../../contract.ts";
import { COMMAND, type Command, encodeCommand } from "./commands.ts";
import { checkIndex, type Exchange, order, type Outgoing } from "./exchange.ts";
import { encodeFrame, type Frame, type FrameSequence } from "./frame.ts";
import { OsdpOutput } from "./lines.ts";
import type { OsdpOptions } from "./options.ts";
import { OrderQueue, OUTPUTS_MAX } from "./orders.ts";
import { quietLog } from "./quiet_log.ts";
import { CAPABILITY, type Capability, decodeReply, NAK, REPLY, type Reply } from "./replies.ts";
import { identityOf, ReaderReports } from "./reports.ts";
import { SCBK_D } from "./secure_crypto.ts";
import { type KeySource, SecureLink, type Verdict } from "./secure_link.ts";

/** Contacts of one reader: ISTATR may list more, no sold reader has them. */
const INPUTS_MAX = 32;
/** A reader that was silent for longer may hand over cards that were presented meanwhile. */
const STALE_AFTER_MS = 2_000;
/** Polls without news that show that a reader has nothing old left to hand over. */
const QUIET_POLLS = 2;
/** Wait before a busy reader is asked again. */
const BUSY_WAIT_MS = 50;
/** Missed replies after which a reader no longer gets its turn like the others. */
const MISSES_MAX = 3;
/** Refusals of a command in a row after which it is given up. */
const REFUSALS_MAX = 3;
/** Wait before a reader that refuses to talk is started anew. */
const REFUSED_WAIT_MS = 1_000;

type Phase = "probe" | "secure" | "start" | "drain" | "online";

/** One reader on a bus. */
export class OsdpReader implements CardReader {
  readonly address: number;
  /** When it wants its next turn. */
  dueMs = 0;
  readonly #options: OsdpOptions;
  readonly #clock: Clock;
  readonly #log: DriverLog;
  readonly #wake: () => void;
  readonly #reports: ReaderReports;
  readonly #outputs = new Map<number, OsdpOutput>();
  readonly #orders = new OrderQueue(this.#outputs);
  readonly #unsupported = new Set<number>();
  /** There where a key is configured: then nothing but it is believed, and nothing goes past it. */
  #link: SecureLink | undefined;
  /** What an installation that is given up goes back to. */
  #linkBefore: SecureLink | undefined;
  #phase: Phase = "probe";
  #steps: Command[] = [];
  #exchange: Exchange | undefined;
  #written = false;
  #sequence: FrameSequence = 0;
  #misses = 0;
  #quietPolls = 0;
  #droppedCards = 0;
  #lastReplyMs: number;
  /** When it last was what it should be; chatter that leads nowhere does not count. */
  #soundMs: number;
  #restarts = 0;
  #identity: ReaderIdentity | undefined;
  /** What was last told to listeners. */
  #announced: boolean | undefined;

  /** `wake` is called when something waits that should not wait for the next poll. */
  constructor(
    options: OsdpOptions,
    key: KeySource | undefined,
    clock: Clock,
    log: DriverLog,
    wake: () => void,
  ) {
    this.address = options.address;
    this.#options = options;
    this.#clock = clock;
    this.#log = quietLog(
      clock,
      (level, message, fields) => log(level, message, { address: options.address, ...fields }),
    );
    this.#wake = wake;
    this.#link = key && new SecureLink(key, this.#log);
    this.#reports = new ReaderReports(this.#log, this.#fault, () => this.#isOld());
    this.#lastReplyMs = clock.monotonicMs();
    this.#soundMs = this.#lastReplyMs;
  }

  readonly #fault = (cause: unknown): void => {
    this.#log("error", "a listener failed", { cause: String(cause) });
  };

  online(): boolean {
    return this.#announced === true;
  }

  onEvent(listener: (event: ReaderEvent) => void): Cancel {
    return this.#reports.events.add(listener);
  }

  show(feedback: ReaderFeedback): void {
    this.#orders.feedback(feedback, {
      led: this.#options.led && !this.#unsupported.has(COMMAND.led),
      buzzer: this.#options.buzzer && !this.#unsupported.has(COMMAND.buzzer),
    }, this.#clock.monotonicMs());
    this.#wake();
  }

  output(index: number): OutputLine {
    checkIndex("output", index, OUTPUTS_MAX);
    const known = this.#outputs.get(index);
    if (known !== undefined) return known;
    const output: OsdpOutput = new OsdpOutput((active, revertAfterMs) => {
      const nowMs = this.#clock.monotonicMs();
      const revertAtMs = revertAfterMs === undefined ? undefined : nowMs + revertAfterMs;
      output.lastOrder = { active, revertAtMs, orderedMs: nowMs };
      this.#orders.output(index, output.lastOrder);
      this.#wake();
    }, this.#fault);
    this.#outputs.set(index, output);
    return output;
  }

  input(index: number): InputLine {
    checkIndex("input", index, INPUTS_MAX);
    // It may be connected already, and an unchanged contact is not reported again.
    if (this.#phase !== "probe" && this.#phase !== "secure" && !this.#reports.knows(index)) {
      this.#steps.push({ kind: "inputStatus" });
    }
    return this.#reports.input(index);
  }

  /** Whether it has stopped answering, so that its turns must not cost its neighbours much. */
  get failing(): boolean {
    return this.#misses >= MISSES_MAX;
  }

  /** Whether its last turn was not answered. */
  get missing(): boolean {
    return this.#misses > 0;
  }

  /** Whether something waits for it that goes before any poll. */
  get urgent(): boolean {
    return (this.#phase === "online" || this.#phase === "drain") &&
      this.#exchange === undefined && !this.#orders.empty;
  }

  /** The next frame for it: the last one again, as the very same bytes, if that was not answered. */
  next(nowMs: number): Outgoing {
    const again = this.#exchange;
    if (again !== undefined) {
      if (again.expiresMs === undefined || again.expiresMs > nowMs) return this.#outgoing(again);
      // The reader may or may not have obeyed; only a restart ends this without opening late.
      this.#log("warn", "an order was not answered in time; the reader is started anew");
      this.#restart();
    }
    const { command, expiresMs, onWritten } = this.#choose(nowMs);
    const { id, data } = encodeCommand(command);
    const { security, seal } = this.#link?.wrap(data) ?? {};
    const sequence = this.#sequence;
    this.#sequence = sequence === 3 ? 1 : (sequence + 1) as FrameSequence;
    const { address, check } = this.#options;
    const fields = { address, reply: false, sequence, check, id, data };
    const bytes = encodeFrame(security === undefined ? fields : { ...fields, security }, seal);
    this.#written = false;
    this.#exchange = { command, sequence, bytes, expiresMs, onWritten, refusals: 0 };
    return this.#outgoing(this.#exchange);
  }

  /** Takes a frame while a reply is awaited. `false`: it is no reply to what was sent. */
  accept(frame: Frame, receivedMs: number): boolean {
    const exchange = this.#exchange;
    if (exchange === undefined || !frame.reply || frame.address !== this.address) return false;
    const busy = frame.id === REPLY.busy && frame.security === undefined;
    // BUSY comes with sequence 0, whatever the command had.
    if (frame.sequence !== exchange.sequence && !(busy && frame.sequence === 0)) return false;
    // A reader answers with the check it was asked with; one byte of sum would let noise through.
    if (frame.check !== this.#options.check) return false;
    const verdict = busy ? plainMessage(frame) : this.#judge(frame, exchange.command, receivedMs);
    if (verdict.kind === "stray") return false;
    this.#misses = 0;
    const hurried = this.#phase === "start" || this.#phase === "secure";
    this.dueMs = receivedMs + (hurried ? 0 : this.#options.pollMs);
    if (verdict.kind !== "message") {
      this.#turned(verdict, receivedMs);
      return true;
    }
    let reply: Reply | undefined;
    try {
      reply = decodeReply(verdict.message);
    } catch (cause) {
      // Its check was right, so it is what the reader meant; asking again would not mend it.
      this.#log("warn", "a reply that cannot be read", { cause: (cause as Error).message });
    }
    if (busy) {
      this.dueMs = receivedMs + BUSY_WAIT_MS;
      this.#checkOffline(receivedMs, "protocol");
      return true;
    }
    if (receivedMs - this.#lastReplyMs > STALE_AFTER_MS) this.#quietPolls = QUIET_POLLS;
    this.#lastReplyMs = receivedMs;
    if (this.#phase === "online" && reply?.kind !== "nak") this.#soundMs = receivedMs;
    if (reply?.kind === "nak") this.#refused(exchange, reply.code, receivedMs);
    else this.#answered(exchange, reply, receivedMs);
    return true;
  }

  /**
   * Puts `key` into the reader, in a session under the public default key or its current one; until
   * that is over it is offline. Calls either `done` or `failed`, unless it is given up.
   */
  install(
    key: Uint8Array,
    from: "default" | "current",
    done: () => void,
    failed: (why: string) => void,
  ): void {
    const before = this.#link;
    if (before?.installing) throw new RangeError("a key is being installed already");
    if (from === "current" && before === undefined) {
      throw new RangeError("the reader has no key in box.yaml; install from the default key");
    }
    const link = before ?? new SecureLink(() => SCBK_D, this.#log);
    this.#linkBefore = before;
    this.#link = link;
    link.install(key, from, done, failed);
    this.#startAnew();
  }

  /** Gives an installation up and goes back to what was configured; says what was in its way. */
  abandonInstall(): string {
    const why = this.#link?.abandon() ?? "";
    this.#link = this.#linkBefore;
    this.#startAnew();
    return why;
  }

  #startAnew(): void {
    this.#restart();
    this.#goOffline("protocol");
    this.dueMs = this.#clock.monotonicMs();
    this.#wake();
  }

  /** Says that no reply came in time. */
  missed(nowMs: number): void {
    this.#misses++;
    this.dueMs = nowMs;
    if (this.#phase === "secure" && this.failing) {
      this.#log(
        "error",
        "the reader is silent in the secure channel's handshake; it may know none",
      );
    }
    this.#checkOffline(nowMs, "no-reply");
  }

  /** Says that the line is gone, or closed for good. */
  lost(reason: OfflineReason): void {
    this.#restart();
    this.#misses = 0;
    this.dueMs = 0;
    this.#goOffline(reason);
  }

  /** Says that the line is there: from now on silence is the reader's own. */
  connected(nowMs: number): void {
    this.#lastReplyMs = nowMs;
    this.#soundMs = nowMs;
    this.dueMs = nowMs;
  }

  #outgoing(exchange: Exchange): Outgoing {
    const first = !this.#written;
    this.#written = true;
    return { bytes: exchange.bytes, onWritten: first ? exchange.onWritten : undefined };
  }

  #choose(nowMs: number) {
    switch (this.#phase) {
      case "probe":
        return order({ kind: "id" });
      case "secure":
        // The answer to one step has put the next one there.
        return order(this.#nextStep() ?? { kind: "id" });
      case "start":
      case "drain":
      case "online": {
        const urgent = this.#phase === "start" ? undefined : this.#orders.take(nowMs, (what) => {
          this.#log("warn", "an order came too late and was dropped", { what });
        });
        return urgent ?? order(this.#nextStep() ?? { kind: "poll" });
      }
      default:
        return this.#phase satisfies never;
    }
  }

  #nextStep(): Command | undefined {
    for (;;) {
      const step = this.#steps.shift();
      if (step === undefined || !this.#unsupported.has(COMMAND[step.kind])) return step;
    }
  }

  /** Whether a reply may be believed; without a key, all that comes without a security block. */
  #judge(frame: Frame, command: Command, nowMs: number): Verdict {
    if (this.#link !== undefined) return this.#link.read(frame, command, nowMs);
    return frame.security === undefined ? plainMessage(frame) : { kind: "stray" };
  }

  /** The secure channel took a turn. */
  #turned(verdict: Exclude<Verdict, { kind: "message" | "stray" }>, nowMs: number): void {
    switch (verdict.kind) {
      case "step":
        this.#exchange = undefined;
        return this.#shake(nowMs);
      case "ready":
        this.#exchange = undefined;
        return this.#begin();
      case "again":
        this.#restart();
        this.dueMs = nowMs;
        return;
      case "lost":
        this.#log("warn", "the secure session is lost and made anew", { cause: verdict.why });
        this.#restart();
        this.dueMs = nowMs + this.#link!.retryMs(nowMs);
        return this.#checkOffline(nowMs, "protocol");
      case "failed":
        return this.#unsafe(nowMs);
      default:
        return verdict satisfies never;
    }
  }

  /** Puts the next step of the handshake where it is the next thing to be sent. */
  #shake(nowMs: number): void {
    const step = this.#link!.step();
    if (step === undefined) return this.#unsafe(nowMs);
    this.#steps = [step];
  }

  /** No secure channel, so no reader; it is tried again as it was configured, never with less. */
  #unsafe(nowMs: number): void {
    this.#restart();
    this.#goOffline("protocol");
    this.dueMs = nowMs + (this.#link?.retryMs(nowMs) ?? REFUSED_WAIT_MS);
  }

  #restart(): void {
    this.#link?.reset();
    this.#phase = "probe";
    this.#sequence = 0;
    this.#exchange = undefined;
    this.#steps = [];
  }

  #answered(exchange: Exchange, reply: Reply | undefined, receivedMs: number): void {
    this.#exchange = undefined;
    if (this.#phase === "probe") {
      this.#identity = undefined;
      if (this.#link === undefined) this.#begin();
      else {
        this.#phase = "secure";
        this.#steps = [{ kind: "capabilities" }];
        this.dueMs = receivedMs;
      }
    } else if (this.#phase === "secure" && this.#steps.length === 0) {
      return this.#shake(receivedMs);
    }
    if (reply?.kind === "identity") this.#identity = identityOf(reply);
    else if (reply?.kind === "capabilities") this.#capabilities(reply.capabilities);
    else if (reply !== undefined) this.#reports.take(reply, receivedMs);
    this.#advance(exchange, reply);
  }

  /** The first reply after a restart: asks for everything else. */
  #begin(): void {
    this.#phase = "start";
    if (this.#announced !== true) this.#soundMs = this.#lastReplyMs;
    this.#unsupported.clear();
    this.#steps = [
      // What it said of itself before it had proved anything is asked again.
      ...(this.#link === undefined ? [] : [{ kind: "id" } as const]),
      { kind: "capabilities" },
      { kind: "localStatus" },
      { kind: "inputStatus" },
      { kind: "outputStatus" },
    ];
    this.dueMs = 0;
  }

  #advance(exchange: Exchange, reply: Reply | undefined): void {
    if (this.#phase === "start" && this.#steps.length === 0) {
      this.#phase = "drain";
      this.#quietPolls = QUIET_POLLS;
      this.#orders.restore(this.#options.led && !this.#unsupported.has(COMMAND.led));
      return;
    }
    if (this.#quietPolls === 0 || exchange.command.kind !== "poll") return;
    if (reply?.kind === "ack") this.#quietPolls--;
    if (this.#quietPolls > 0) return;
    if (this.#droppedCards > 0) {
      const count = this.#droppedCards;
      this.#droppedCards = 0;
      this.#log("warn", "reads from before the reader was reached again were dropped", { count });
    }
    if (this.#phase !== "drain") return;
    this.#phase = "online";
    this.#restarts = 0;
    if (this.#announced === true) return;
    this.#announced = true;
    this.#log("info", "reader online", { firmware: this.#identity?.firmware ?? "unknown" });
    this.#reports.events.emit({ kind: "online", identity: this.#identity });
  }

  #refused(exchange: Exchange, code: number, nowMs: number): void {
    const { kind } = exchange.command;
    switch (code) {
      case NAK.check:
        // It heard noise and has not obeyed: the very same bytes again.
        if (++exchange.refusals < REFUSALS_MAX) return;
        break;
      case NAK.sequence:
        if (this.#phase === "probe") break;
        this.#log("info", "the reader lost count and is started anew");
        this.#restart();
        this.dueMs = nowMs + Math.min(this.#options.pollMs * 2 ** this.#restarts, REFUSED_WAIT_MS);
        if (this.#restarts < 10) this.#restarts++;
        this.#checkOffline(nowMs, "protocol");
        return;
      case NAK.unknownCommand:
        this.#unsupported.add(COMMAND[kind]);
        this.#log(kind === "output" ? "error" : "info", "the reader does not know a command", {
          command: kind,
        });
        break;
      case NAK.secureChannelNeeded:
      case NAK.secureChannelCondition:
        // Not even its name without a secure channel: then that comes first.
        if (this.#link !== undefined && !this.#link.up) break;
        this.#log("error", "the reader demands a secure channel; put its key into box.yaml", {
          command: kind,
        });
        this.#restart();
        this.#goOffline("protocol");
        this.dueMs = nowMs + REFUSED_WAIT_MS;
        return;
      default:
        this.#log("warn", "the reader refused a command", { command: kind, code });
    }
    this.#answered(exchange, undefined, nowMs);
  }

  /** A read from while the reader was not heard must not open a door. */
  #isOld(): boolean {
    if (this.#phase === "online" && this.#quietPolls === 0) return false;
    this.#quietPolls = QUIET_POLLS;
    this.#droppedCards++;
    return true;
  }

  #capabilities(capabilities: readonly Capability[]): void {
    const without = (code: number) =>
      capabilities.some((c) => c.function === code && c.compliance === 0);
    if (without(CAPABILITY.led)) this.#unsupported.add(COMMAND.led);
    if (without(CAPABILITY.buzzer)) this.#unsupported.add(COMMAND.buzzer);
  }

  #checkOffline(nowMs: number, reason: OfflineReason): void {
    if (nowMs - this.#soundMs < this.#options.offlineMs) return;
    // From here on it forgets the conversation too (8 s): only a new one can reach it.
    this.#restart();
    this.#goOffline(reason);
  }

  #goOffline(reason: OfflineReason): void {
    if (this.#announced === false) return;
    this.#announced = false;
    this.#reports.forget(this.#clock.monotonicMs());
    this.#log("warn", "reader offline", { reason });
    this.#reports.events.emit({ kind: "offline", reason });
  }
}

function plainMessage({ id, data }: Frame): Verdict & { kind: "message" } {
  return { kind: "message", message: { id, data } };
}
