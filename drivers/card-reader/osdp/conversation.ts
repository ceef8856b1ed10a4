/**
 * The conversation with one reader: what to say to it next, and what its replies mean. Knows no
 * port and no timer; the bus asks and tells.
 *
 * @module
 */
import type { Clock } from "../../../hal/mod.ts";
import type { DriverLog, OfflineReason } from "../../contract.ts";
import { Abilities } from "./abilities.ts";
import { Agenda, type Phase } from "./agenda.ts";
import type { Command } from "./commands.ts";
import { type Exchange, Exchanges, type Outgoing } from "./exchange.ts";
import { type Frame, FRAME_BYTES_MAX } from "./frame.ts";
import { Freshness } from "./freshness.ts";
import type { OsdpOptions } from "./options.ts";
import type { OrderQueue } from "./orders.ts";
import { Patience } from "./patience.ts";
import { Presence } from "./presence.ts";
import { type Capability, decodeReply, NAK, type Reply } from "./replies.ts";
import { identityOf, type ReaderReports } from "./reports.ts";
import { OsdpRequestError } from "./requests.ts";
import type { RandomSource } from "./secure_channel.ts";
import { type KeySource, SecureLink, type Verdict } from "./secure_link.ts";

/** Wait before a busy reader is asked again. */
const BUSY_WAIT_MS = 50;
/** Answers to something else after which the conversation is started anew. */
const STRANGE_MAX = 3;
/** Refusals of a command in a row after which it is given up. */
const REFUSALS_MAX = 3;
/** Wait before a reader that refuses to talk is started anew. */
const REFUSED_WAIT_MS = 1_000;

/** What a conversation works with. */
export interface ConversationParts {
  readonly options: OsdpOptions;
  /** There where a key is configured: then nothing but it is believed. */
  readonly key: KeySource | undefined;
  readonly clock: Clock;
  readonly log: DriverLog;
  readonly random?: RandomSource | undefined;
  readonly orders: OrderQueue;
  readonly reports: ReaderReports;
  /** Called when something waits that should not wait for the next poll. */
  readonly wake: () => void;
}

/** The conversation with one reader. */
export class Conversation {
  /** When it wants its next turn. */
  dueMs = 0;
  /** What the reader is known to be able to do. */
  readonly abilities: Abilities = new Abilities();
  /** Whether it counts as online, and who it says it is. */
  readonly presence: Presence;
  /** What it is told next. */
  readonly agenda: Agenda;
  /** Its secure channel. */
  readonly link: SecureLink;
  /** How long its replies take, and how many did not come. */
  readonly patience: Patience = new Patience();
  readonly #options: OsdpOptions;
  readonly #clock: Clock;
  readonly #log: DriverLog;
  readonly #wake: () => void;
  readonly #reports: ReaderReports;
  readonly #exchanges: Exchanges;
  readonly #freshness = new Freshness();
  #phase: Phase = "probe";
  /** Frames of the reader that answered nothing, since it last answered. */
  #strange = 0;
  #restarts = 0;

  /** Begins with nothing said. */
  constructor(parts: ConversationParts) {
    const { options, key, clock, log, orders, reports, wake, random } = parts;
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
    this.#wake = wake;
    this.#reports = reports;
    this.agenda = new Agenda(orders, this.abilities, log);
    this.#exchanges = new Exchanges(options.address, options.check);
    this.link = new SecureLink(key, log, random);
    this.presence = new Presence(clock, options.offlineMs, reports, log);
  }

  /** Whom it is with. */
  get address(): number {
    return this.#exchanges.address;
  }

  /** Whether it can be talked to: online, and not starting anew. */
  get ready(): boolean {
    return this.#phase === "online";
  }

  /**
   * Sends a command when no order waits, and resolves with its answer, which may be a refusal.
   *
   * @throws {@link OsdpRequestError}.
   */
  request(command: Command, replyMs?: number): Promise<Reply> {
    if (!this.ready) {
      return Promise.reject(new OsdpRequestError("offline", "the reader is offline"));
    }
    const answer = this.agenda.request(command, replyMs);
    this.dueMs = Math.min(this.dueMs, this.#clock.monotonicMs());
    this.#wake();
    return answer;
  }

  /** The reader is at another address from now on, or at another baud rate: it is offline until it answers. */
  move(address: number): void {
    this.#exchanges.move(address);
    this.startAnew();
  }

  /** Asks for the contacts, if it is connected already: an unchanged one is not reported again. */
  refreshInputs(): void {
    if (this.#phase === "probe" || this.#phase === "secure") return;
    this.agenda.add({ kind: "inputStatus" });
  }

  /** Whether it has stopped answering, so that its turns must not cost its neighbours much. */
  get failing(): boolean {
    return this.patience.failing(this.#clock.monotonicMs() - this.presence.lastReplyMs);
  }

  /** Whether something waits for it that goes before any poll. */
  get urgent(): boolean {
    return (this.#phase === "online" || this.#phase === "drain") &&
      this.#exchanges.current === undefined && this.agenda.urgent;
  }

  /** Whether a read that it hands over now may be from while it was not heard; counts those. */
  isOld(): boolean {
    if (this.#phase === "online" && this.#freshness.fresh) return false;
    this.#freshness.drop();
    return true;
  }

  /** The next frame for it: the last one again, as the very same bytes, if that was not answered. */
  next(nowMs: number): Outgoing {
    const again = this.#exchanges.current;
    if (again !== undefined) {
      if (again.expiresMs === undefined || again.expiresMs > nowMs) {
        return this.#exchanges.repeat(again);
      }
      // The reader may or may not have obeyed; only a restart ends this without opening late.
      this.#log("warn", "an order was not answered in time; the reader is started anew");
      this.#restart();
    }
    return this.#exchanges.begin(this.agenda.next(this.#phase, nowMs), this.link);
  }

  /** Takes a frame while a reply is awaited. `false`: it is no reply to what was sent. */
  accept(frame: Frame, receivedMs: number): boolean {
    const match = this.#exchanges.match(frame);
    if (match === undefined) {
      if (frame.reply && frame.address === this.address) this.#strange++;
      return false;
    }
    const exchange = this.#exchanges.current!;
    const busy = match === "busy";
    const verdict = busy
      ? plainMessage(frame)
      : this.link.read(frame, exchange.command, receivedMs);
    if (verdict.kind === "stray") return false;
    this.patience.heard();
    this.#strange = 0;
    const hurried = this.#phase === "start" || this.#phase === "secure" || this.agenda.hurried;
    this.dueMs = receivedMs + (hurried ? 0 : this.agenda.paceMs ?? this.#options.pollMs);
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
    this.#freshness.heardAfter(this.presence.heard(receivedMs));
    if (this.#phase === "online" && reply?.kind !== "nak") this.presence.sound(receivedMs);
    if (reply?.kind === "nak") {
      this.#refused(exchange, reply, receivedMs);
    } else {
      exchange.onReply?.(reply);
      this.#answered(exchange, reply, receivedMs);
    }
    return true;
  }

  /** Ends the conversation and begins another; until that is sound the reader is offline. */
  startAnew(): void {
    this.#restart();
    this.presence.went("protocol");
    this.dueMs = this.#clock.monotonicMs();
    this.#wake();
  }

  /** Says that no reply came in time. */
  missed(nowMs: number): void {
    this.patience.missed();
    this.dueMs = nowMs;
    if (this.#phase === "secure" && this.failing) {
      this.#log(
        "error",
        "the reader is silent in the secure channel's handshake; it may know none",
      );
    }
    if (this.#strange >= STRANGE_MAX) {
      // Noise has put words into our mouth: it answers those, again and again, until it starts anew.
      this.#strange = 0;
      this.#log("info", "the reader answers something else and is started anew");
      this.#restart();
    }
    this.#checkOffline(nowMs, "no-reply");
  }

  /** Says that the line is gone, or closed for good. */
  lost(reason: OfflineReason): void {
    this.#restart();
    this.patience.heard();
    this.dueMs = 0;
    this.presence.went(reason);
  }

  /** Says that the line is there: from now on silence is the reader's own. */
  connected(nowMs: number): void {
    this.presence.connected(nowMs);
    this.dueMs = nowMs;
  }

  /** The secure channel took a turn. */
  #turned(verdict: Exclude<Verdict, { kind: "message" | "stray" }>, nowMs: number): void {
    switch (verdict.kind) {
      case "step":
        this.#exchanges.end();
        return this.#shake(nowMs);
      case "ready":
        this.#exchanges.end();
        return this.#begin();
      case "again":
        this.#restart();
        this.dueMs = nowMs;
        return;
      case "lost":
        this.#log("warn", "the secure session is lost and made anew", { cause: verdict.why });
        this.#restart();
        this.dueMs = nowMs + this.link.retryMs(nowMs);
        return this.#checkOffline(nowMs, "protocol");
      case "failed":
        return this.#unsafe(nowMs);
      default:
        return verdict satisfies never;
    }
  }

  /** Puts the next step of the handshake where it is the next thing to be sent. */
  #shake(nowMs: number): void {
    const step = this.link.step();
    if (step === undefined) return this.#unsafe(nowMs);
    this.agenda.plan(step);
  }

  /** No secure channel, so no reader; it is tried again as it was configured, never with less. */
  #unsafe(nowMs: number): void {
    this.#restart();
    this.presence.went("protocol");
    this.dueMs = nowMs + this.link.retryMs(nowMs);
  }

  #restart(): void {
    this.link.reset();
    this.#phase = "probe";
    this.#exchanges.restart();
    this.agenda.clear();
  }

  #answered(exchange: Exchange, reply: Reply | undefined, receivedMs: number): void {
    this.#exchanges.end();
    if (this.#phase === "probe") {
      this.presence.identity = undefined;
      if (!this.link.active) this.#begin();
      else {
        this.#phase = "secure";
        this.agenda.plan({ kind: "capabilities" });
        this.dueMs = receivedMs;
      }
    } else if (this.#phase === "secure" && this.agenda.stepsLeft === 0) {
      return this.#shake(receivedMs);
    }
    if (reply?.kind === "identity") this.presence.identity = identityOf(reply);
    else if (reply?.kind === "capabilities") this.#learn(reply.capabilities);
    else if (reply !== undefined) this.#reports.take(reply, receivedMs);
    this.#advance(exchange, reply);
  }

  #learn(capabilities: readonly Capability[]): void {
    this.abilities.learn(capabilities);
    // Only who has long messages needs to know that we take them; the others may not know the command.
    if (this.#phase === "start" && this.abilities.sendsLongMessages) {
      this.agenda.add({ kind: "receiveSize", bytes: FRAME_BYTES_MAX });
    }
  }

  /** The first reply after a restart: asks for everything else. */
  #begin(): void {
    this.#phase = "start";
    this.presence.begun();
    this.abilities.clear();
    this.agenda.plan(
      // What it said of itself before it had proved anything is asked again.
      ...(this.link.active ? [{ kind: "id" } as const] : []),
      { kind: "capabilities" },
      { kind: "localStatus" },
      { kind: "inputStatus" },
      { kind: "outputStatus" },
    );
    this.dueMs = 0;
  }

  #advance(exchange: Exchange, reply: Reply | undefined): void {
    if (this.#phase === "start" && this.agenda.stepsLeft === 0) {
      this.#phase = "drain";
      this.#freshness.doubt();
      this.agenda.restore(this.#options.led);
      return;
    }
    if (exchange.command.kind !== "poll" || !this.#freshness.polled(reply)) return;
    const count = this.#freshness.takeDropped();
    if (count > 0) {
      this.#log("warn", "reads from before the reader was reached again were dropped", { count });
    }
    if (this.#phase !== "drain") return;
    this.#phase = "online";
    this.#restarts = 0;
    this.presence.came();
  }

  #refused(exchange: Exchange, nak: Reply & { kind: "nak" }, nowMs: number): void {
    const { kind } = exchange.command;
    const { code } = nak;
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
        this.abilities.refused(kind);
        this.#log(kind === "output" ? "error" : "info", "the reader does not know a command", {
          command: kind,
        });
        break;
      case NAK.secureChannelNeeded:
      case NAK.secureChannelCondition:
        // Not even its name without a secure channel: then that comes first.
        if (this.link.active && !this.link.up) break;
        this.#log("error", "the reader demands a secure channel; put its key into box.yaml", {
          command: kind,
        });
        this.#restart();
        this.presence.went("protocol");
        this.dueMs = nowMs + REFUSED_WAIT_MS;
        return;
      default:
        this.#log("warn", "the reader refused a command", { command: kind, code });
    }
    exchange.onReply?.(nak);
    this.#answered(exchange, undefined, nowMs);
  }

  #checkOffline(nowMs: number, reason: OfflineReason): void {
    if (!this.presence.overdue(nowMs)) return;
    // From here on it forgets the conversation too (8 s): only a new one can reach it.
    this.#restart();
    this.presence.went(reason);
  }
}

function plainMessage({ id, data }: Frame): Verdict & { kind: "message" } {
  return { kind: "message", message: { id, data } };
}
