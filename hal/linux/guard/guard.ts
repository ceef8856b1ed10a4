import type { Cancel, Clock } from "../../clock.ts";
import type { Watchdog, WatchdogSettings } from "../../watchdog.ts";
import {
  type CrashLevel,
  type FromGuard,
  GUARD_PROTOCOL,
  LINES_MAX,
  type ToGuard,
} from "./messages.ts";

/** Pings in one heartbeat: some may be late, the last one counts. */
const PINGS_A_HEARTBEAT = 8;
/** A watchdog of 5 s wants a tick this often, however slow the heartbeat. */
const TICK_MS_MAX = 1_000;
/** A guard that nobody gave anything to hold ends after this: its box died while it started. */
const UNUSED_MS_MAX = 30_000;
/** A watchdog is petted this often within its timeout, so that one late tick resets nothing. */
const PETS_A_TIMEOUT = 4;

/**
 * A box may take this long from its hello to its first `ready`, whatever the watchdog's time-out: a
 * Pi with a cold cache and a large policy is slow. It is given once until the next `ready`, so that
 * a box that crashes at each start is reset all the same.
 */
const START_MS_MAX = 60_000;

/** A box's connection, as the guard uses it. */
export interface GuardLink {
  /** Sends `message` and, if given, a duplicate of `fd`; `false` when the box reads nothing. */
  send(message: FromGuard, fd?: number): boolean;
  /** Ends the connection. */
  close(): void;
}

/** What a guard acts on. */
export interface GuardHost {
  readonly clock: Clock;
  /** Drives the line behind `fd` to a logical level. @throws when its chip is gone. */
  readonly drive: (fd: number, active: boolean) => void;
  /** Gives a descriptor back. */
  readonly close: (fd: number) => void;
  /** Arms a watchdog. @throws `HalError`. */
  readonly armWatchdog: (settings: WatchdogSettings) => Watchdog;
  readonly log: (
    level: "info" | "warn" | "error",
    message: string,
    fields?: Readonly<Record<string, string | number | boolean>>,
  ) => void;
  /** Called once when there is nothing left to guard. */
  readonly onDone: () => void;
}

interface HeldLine {
  readonly fd: number;
  onCrash: CrashLevel;
  readonly activeLow: boolean;
  /** Whether the box that is connected uses it. */
  claimed: boolean;
}

/**
 * What keeps outputs safe while the box is dead. It holds a duplicate of each output's descriptor;
 * when the box's connection ends without goodbye, or no ping was answered for a heartbeat, it drives
 * each line to its on-crash level and stops petting the watchdog. It never drives a line while the
 * box lives.
 */
export class Guard {
  readonly #host: GuardHost;
  readonly #stay: boolean;
  readonly #lines = new Map<string, HeldLine>();
  #link: GuardLink | undefined;
  #heartbeatMs = 2_000;
  /** The box said that its doors work. */
  #ready = false;
  /** The watchdog is petted until then for a box that has not said so yet. */
  #startEndsMs: number | undefined;
  #pings = 0;
  /** The last ping before the box counted as dead; `undefined` while it lives. */
  #deadAtPing: number | undefined;
  #aliveMs = 0;
  #tickMs = 0;
  #excused = false;
  #cancelTick: Cancel | undefined;
  #cancelUnused: Cancel | undefined;
  #ending = false;
  #watchdog: { readonly settings: WatchdogSettings; readonly armed: Watchdog } | undefined;
  #pettedMs = -Infinity;

  /** Waits for a box. With `stay` it outlives a box that says goodbye, and holds its lines on. */
  constructor(host: GuardHost, stay: boolean) {
    this.#host = host;
    this.#stay = stay;
    this.#endUnlessUsed();
  }

  /** Takes a box's connection; another one is told so and refused. */
  connected(link: GuardLink): boolean {
    if (this.#link !== undefined) {
      link.send({ kind: "busy" });
      link.close();
      return false;
    }
    this.#cancelUnused?.();
    this.#link = link;
    return true;
  }

  /** Carries out a message of the box; `undefined` is one that made no sense. Owns `fd` from here on. */
  receive(link: GuardLink, message: ToGuard | undefined, fd: number | undefined): void {
    if (fd !== undefined && message?.kind !== "hold") {
      this.#host.close(fd);
      message = undefined;
    }
    if (link !== this.#link) return;
    switch (message?.kind) {
      case "hello":
        return this.#hello(message);
      case "hold":
        return this.#hold(message, fd);
      case "claim":
        return this.#claim(message.id);
      case "release":
        if (this.#stay && message.leave) {
          const line = this.#lines.get(message.id);
          if (line !== undefined) [line.onCrash, line.claimed] = ["keep", false];
        } else this.#letGo(message.id);
        this.#send({ kind: "released", id: message.id });
        return;
      case "ready":
        for (const [id, line] of this.#lines) if (!line.claimed) this.#letGo(id);
        this.#ready = true;
        this.#startEndsMs = undefined;
        return;
      case "alive":
        return this.#alive(message.n);
      case "goodbye":
        return this.#goodbye();
      case undefined:
        this.#host.log("error", "the box sent what is no message; it counts as dead");
        link.close();
        return this.disconnected(link);
      default:
        message satisfies never;
    }
  }

  /** The box's connection is gone, without goodbye: it is dead. */
  disconnected(link: GuardLink): void {
    if (link !== this.#link) return;
    this.#link = undefined;
    this.#ready = false;
    this.#cancelTick?.();
    for (const line of this.#lines.values()) line.claimed = false;
    // Also after a freeze: it may have driven something since.
    this.#driveAll("the box died");
    this.#deadAtPing = undefined;
    if (this.#ending) this.#host.onDone();
    else this.#endUnlessUsed();
  }

  /** Ends as soon as no box is connected: at once, or when it has said goodbye or died. */
  end(): void {
    this.#ending = true;
    if (this.#link === undefined) this.#host.onDone();
  }

  /** Lets go of all lines, as when the machine stops. An armed watchdog runs on: no box said goodbye. */
  [Symbol.dispose](): void {
    this.#cancelTick?.();
    this.#cancelUnused?.();
    for (const id of this.#lines.keys()) this.#letGo(id);
  }

  #hello({ protocol, heartbeatMs, watchdog }: Extract<ToGuard, { kind: "hello" }>): void {
    this.#heartbeatMs = heartbeatMs;
    this.#aliveMs = this.#host.clock.monotonicMs();
    this.#send({ kind: "welcome", protocol: GUARD_PROTOCOL, lines: [...this.#lines.keys()] });
    if (protocol !== GUARD_PROTOCOL) return;
    this.#arm(watchdog);
    this.#startEndsMs ??= this.#aliveMs + START_MS_MAX;
    this.#cancelTick?.();
    this.#tickMs = this.#aliveMs;
    this.#scheduleTick();
  }

  #hold({ id, onCrash, activeLow }: Extract<ToGuard, { kind: "hold" }>, fd?: number): void {
    const old = this.#lines.get(id);
    if (fd === undefined) {
      // A claimed line, of which it has a descriptor.
      if (old === undefined) return this.#fault(`line ${id} came without a descriptor`);
      [old.onCrash, old.claimed] = [onCrash, true];
      return;
    }
    if (old === undefined && this.#lines.size >= LINES_MAX) {
      this.#host.close(fd);
      return this.#fault(`line ${id} is not guarded: there are ${LINES_MAX} already`);
    }
    if (old !== undefined) this.#host.close(old.fd);
    this.#lines.set(id, { fd, onCrash, activeLow, claimed: true });
  }

  #claim(id: string): void {
    const line = this.#lines.get(id);
    if (line === undefined) return this.#send({ kind: "claimed", id, activeLow: false });
    line.claimed = true;
    this.#send({ kind: "claimed", id, activeLow: line.activeLow }, line.fd);
  }

  #alive(n: number): void {
    if (n > this.#pings) return;
    const nowMs = this.#host.clock.monotonicMs();
    if (this.#deadAtPing !== undefined) {
      // What was asked before is no news of now.
      if (n <= this.#deadAtPing) return;
      this.#deadAtPing = undefined;
      const deadMs = Math.round(nowMs - this.#aliveMs);
      this.#send({ kind: "resumed", deadMs });
      this.#host.log("warn", "the box is back; it drives its outputs again", { deadMs });
    }
    this.#aliveMs = nowMs;
  }

  #goodbye(): void {
    this.#disarm();
    this.#link?.close();
    this.#link = undefined;
    this.#ready = false;
    this.#deadAtPing = undefined;
    this.#cancelTick?.();
    for (const line of this.#lines.values()) line.claimed = false;
    if (this.#stay && !this.#ending) return;
    for (const id of this.#lines.keys()) this.#letGo(id);
    this.#host.onDone();
  }

  #scheduleTick(): void {
    const everyMs = Math.min(this.#heartbeatMs / PINGS_A_HEARTBEAT, TICK_MS_MAX);
    this.#cancelTick = this.#host.clock.schedule(everyMs, () => {
      this.#scheduleTick();
      this.#tick(everyMs);
    });
  }

  #tick(everyMs: number): void {
    const nowMs = this.#host.clock.monotonicMs();
    // Where the guard itself did not run, the box's answers were not read either, nor was it asked. It
    // gets until the next tick; a guard that is always late still judges at every second one.
    const late = nowMs - this.#tickMs > 2 * everyMs;
    this.#excused = late && !this.#excused;
    this.#tickMs = nowMs;
    const silentMs = nowMs - this.#aliveMs;
    if (silentMs > this.#heartbeatMs && !this.#excused && this.#deadAtPing === undefined) {
      this.#deadAtPing = this.#pings;
      this.#driveAll("the box does not answer", { silentMs: Math.round(silentMs) });
    }
    // A frozen box reads no pings; those that fit its socket are enough.
    this.#send({ kind: "ping", n: ++this.#pings });
    const starting = !this.#ready && nowMs < this.#startEndsMs!;
    if (starting || (this.#ready && this.#deadAtPing === undefined)) this.#pet(nowMs);
  }

  #driveAll(why: string, fields: Record<string, number> = {}): void {
    const failed: [id: string, error: unknown][] = [];
    for (const [id, { fd, onCrash }] of this.#lines) {
      if (onCrash === "keep") continue;
      try {
        this.#host.drive(fd, onCrash);
      } catch (error) {
        failed.push([id, error]);
      }
    }
    // Afterwards: a log that nobody reads any more can block.
    this.#host.log("error", `${why}: outputs go to their on-crash state`, fields);
    for (const [id, error] of failed) {
      this.#host.log("error", "an output could not be driven", { id, cause: String(error) });
    }
  }

  #arm(settings: WatchdogSettings | undefined): void {
    const old = this.#watchdog;
    const same = old?.settings.path === settings?.path &&
      old?.settings.timeoutMs === settings?.timeoutMs;
    if (same) return;
    this.#disarm();
    if (settings === undefined) return;
    try {
      this.#watchdog = { settings, armed: this.#host.armWatchdog(settings) };
      this.#pettedMs = this.#host.clock.monotonicMs();
    } catch (error) {
      this.#fault((error as Error).message);
    }
  }

  #disarm(): void {
    const { armed } = this.#watchdog ?? {};
    this.#watchdog = undefined;
    armed?.[Symbol.asyncDispose]().then(undefined, (error: unknown) => {
      this.#host.log("error", "the watchdog could not be disarmed", { cause: String(error) });
    });
  }

  #pet(nowMs: number): void {
    if (this.#watchdog === undefined) return;
    const { armed } = this.#watchdog;
    if (nowMs - this.#pettedMs < armed.timeoutMs / PETS_A_TIMEOUT) return;
    this.#pettedMs = nowMs;
    try {
      armed.pet();
    } catch (error) {
      this.#fault((error as Error).message);
    }
  }

  #letGo(id: string): void {
    const line = this.#lines.get(id);
    if (line === undefined) return;
    this.#lines.delete(id);
    this.#host.close(line.fd);
  }

  #fault(message: string): void {
    if (this.#link?.send({ kind: "fault", message }) !== true) this.#host.log("error", message);
  }

  #send(message: FromGuard, fd?: number): void {
    this.#link?.send(message, fd);
  }

  #endUnlessUsed(): void {
    this.#cancelUnused?.();
    if (this.#stay || this.#lines.size > 0 || this.#watchdog !== undefined) return;
    this.#cancelUnused = this.#host.clock.schedule(UNUSED_MS_MAX, () => this.#host.onDone());
  }
}
