import type { Cancel, Clock } from "../../clock.ts";
import { HalError } from "../../error.ts";
import { libc } from "../libc.ts";
import { connectUnix, type UnixConnection } from "../unix_socket.ts";
import {
  type CrashLevel,
  encodeMessage,
  type FromGuard,
  GUARD_PROTOCOL,
  parseFromGuard,
  type ToGuard,
} from "./messages.ts";

/** Wait between two looks for a guard that starts. */
const CONNECT_RETRY_MS = 50;
/** A guard is up in 0.1 s; on an emulated processor with other work it took 20 s. */
const START_MS_MAX = 60_000;
/** Doors do not wait longer for their guard; what is requested till then is handed over later. */
const OPEN_MS_MAX = 5_000;
/** An answer takes under a millisecond; the door does not wait longer for a guard that hangs. */
const ANSWER_MS_MAX = 2_000;
/** A guard that lives welcomes at once; one that hangs is killed while the box still waits for it. */
const WELCOME_MS_MAX = 4_000;
/** Then it pings every second at least. Its successor has to pet the watchdog in time, mostly 15 s. */
const SILENCE_MS_MAX = 8_000;
/** A timer of a box that runs is not this late. */
const LATE_MS = 500;
const SIGKILL = 9;
/** Pause before a guard that died is started again; with its start it is back within a second. */
const RESTART_MS_MIN = 100;
/** One that dies each time is not started more often than this. */
const RESTART_MS_MAX = 10_000;

/** How a box's guard is found, or made. */
export interface GuardOptions {
  /** Socket of the guard: short (107 bytes), in a folder that only this user may enter. */
  readonly socket: string;
  /** The box counts as dead when it answered no ping for this long, 200 to 60,000 ms. */
  readonly heartbeatMs: number;
  /** The hardware watchdog that the guard pets while the box lives. */
  readonly watchdog?: { readonly path: string; readonly timeoutMs: number };
  /**
   * Starts the guard's process, and resolves when that has ended: soon, if another one is there already.
   *
   * @throws what the system says when it cannot be started.
   */
  readonly start: (socket: string) => Promise<void>;
  readonly clock: Clock;
  readonly log: (
    level: "info" | "warn" | "error",
    message: string,
    fields?: Readonly<Record<string, string | number | boolean>>,
  ) => void;
}

/** A line that the guard holds as well. */
export interface GuardedLine {
  /** The kernel's chip and offset: `gpiochip0/17`. */
  readonly id: string;
  /** The line's descriptor, which stays the caller's. */
  readonly fd: number;
  readonly activeLow: boolean;
  readonly onCrash: CrashLevel;
  /**
   * Drives the line to what it was last told, or was requested with: the guard has driven it to
   * on-crash. Does not throw.
   */
  readonly redrive: () => void;
}

/** A line from before, which the guard held while no box was there. */
export interface ClaimedLine {
  /** A descriptor of the caller's own. */
  readonly fd: number;
  /** As it was requested. */
  readonly activeLow: boolean;
}

/**
 * The box's end of its guard. Lines that are held while the guard is away are handed over when it is
 * back. Disposal says goodbye; dispose of the lines before.
 */
export class GuardClient implements AsyncDisposable {
  readonly #options: GuardOptions;
  readonly #lines = new Map<string, GuardedLine>();
  readonly #end = new AbortController();
  readonly #answers = new Map<string, (fd: number | undefined, activeLow: boolean) => void>();
  #alive: () => boolean = () => true;
  #onResumed: (deadMs: number) => void = () => {};
  #connection: UnixConnection | undefined;
  #welcome: (() => void) | undefined;
  #found = new Set<string>();
  #ready = false;
  #fault: string | undefined;
  #running: Promise<void>;

  private constructor(options: GuardOptions, first: () => void) {
    this.#options = options;
    this.#welcome = first;
    this.#running = this.#run();
  }

  /**
   * Finds the guard that an earlier box left, or starts one. Resolves when it is there; or, with
   * {@link GuardClient.fault} saying why, when it cannot be had: a box without guard still opens
   * doors, and it is tried again.
   */
  static async open(options: GuardOptions, signal: AbortSignal): Promise<GuardClient> {
    signal.throwIfAborted();
    const { promise, resolve } = Promise.withResolvers<void>();
    const client = new GuardClient(options, resolve);
    const cancel = options.clock.schedule(OPEN_MS_MAX, () => {
      client.#fault ??= "the guard has not started yet; it is waited for";
      resolve();
    });
    await promise;
    cancel();
    return client;
  }

  /** What is wrong with the guard or its watchdog, for an installer; `undefined` when nothing is. */
  fault(): string | undefined {
    return this.#fault;
  }

  /**
   * Says what a living box is. Asked at each ping, which comes by the way that a card's bytes come;
   * the ping is answered only at `true`.
   */
  answerWhile(alive: () => boolean): void {
    this.#alive = alive;
  }

  /** Calls `listener` when the box had counted as dead for `deadMs` and has driven its outputs again. */
  onResumed(listener: (deadMs: number) => void): void {
    this.#onResumed = listener;
  }

  /** A descriptor of line `id` if the guard held it from before, and so no request can have it. */
  async claim(id: string): Promise<ClaimedLine | undefined> {
    if (!this.#found.has(id)) return undefined;
    const [fd, activeLow] = await this.#ask({ kind: "claim", id });
    return fd === undefined ? undefined : { fd, activeLow };
  }

  /** Lets the guard hold `line`, from now on and whenever it had to be started again. */
  hold(line: GuardedLine): void {
    this.#lines.set(line.id, line);
    this.#handOver(line);
  }

  /**
   * Takes a line back, which the caller closes. Resolves when the guard has let go as well. At `leave`
   * its level is to stay while the box is away, which a guard that outlives the box sees to.
   */
  async release(id: string, leave: boolean): Promise<void> {
    this.#lines.delete(id);
    await this.#ask({ kind: "release", id, leave });
    // Perhaps it is held on, and whoever wants it again has to claim it.
    if (leave) this.#found.add(id);
  }

  /**
   * Every line that the box uses is requested, and the doors are at work: the guard lets go of what
   * is left from before. A line that was claimed kept its level so far; if nobody drove it since, it
   * now goes to its level at request.
   */
  ready(): void {
    this.#ready = true;
    for (const line of this.#lines.values()) line.redrive();
    this.#send({ kind: "ready" });
  }

  /** Says goodbye. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#end.signal.aborted) return;
    this.#send({ kind: "goodbye" });
    this.#end.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#options;
    const end = this.#end.signal;
    let retryMs = RESTART_MS_MIN;
    for (let attempts = 1; !end.aborted; attempts++) {
      const startedMs = clock.monotonicMs();
      try {
        const connection = await this.#connect(end);
        await this.#follow(connection, end);
        if (end.aborted) break;
        this.#fault = "the guard process is gone; it is being started again";
        log("error", this.#fault);
        // The first one met may have been ending after an earlier box's goodbye.
        if (attempts > 1) this.#welcomed();
      } catch (error) {
        if (end.aborted) break;
        this.#fault = `outputs are not guarded: ${(error as Error).message}`;
        log("error", this.#fault);
        if (!(error instanceof HalError && error.kind === "protocol" && attempts === 1)) {
          this.#welcomed();
        }
      }
      const livedMs = clock.monotonicMs() - startedMs;
      retryMs = livedMs > RESTART_MS_MAX ? RESTART_MS_MIN : Math.min(retryMs * 2, RESTART_MS_MAX);
      await clock.sleep(retryMs, end).catch(() => {});
    }
    this.#welcomed();
  }

  async #connect(end: AbortSignal): Promise<UnixConnection> {
    const { clock, socket, start } = this.#options;
    const giveUpMs = clock.monotonicMs() + START_MS_MAX;
    let connection = connectUnix(socket);
    let running = false;
    let pauseMs = RESTART_MS_MIN;
    while (connection === undefined) {
      if (!running) {
        running = true;
        // An earlier guard that is just ending keeps the next one out; then it is tried again.
        const ended = () => running = false;
        const failed = new Promise<never>((_, reject) => start(socket).then(ended, reject));
        await Promise.race([failed, clock.sleep(pauseMs, end)]);
        pauseMs = Math.min(pauseMs * 2, RESTART_MS_MAX);
      }
      if (clock.monotonicMs() > giveUpMs) {
        throw new HalError("timeout", `no guard answers at ${socket} within ${START_MS_MAX} ms`);
      }
      await clock.sleep(CONNECT_RETRY_MS, end);
      connection = connectUnix(socket);
    }
    return connection;
  }

  async #follow(connection: UnixConnection, end: AbortSignal): Promise<void> {
    const { clock, heartbeatMs, watchdog } = this.#options;
    this.#connection = connection;
    let silence: Cancel = () => {};
    const heard = (limitMs: number) => {
      silence();
      const dueMs = clock.monotonicMs() + limitMs;
      silence = clock.schedule(limitMs, () => {
        // It was the box that stood still: what the guard said meanwhile is still to be read.
        if (clock.monotonicMs() - dueMs > LATE_MS) return heard(WELCOME_MS_MAX);
        // One that hangs would be in the way of the next, and its lock with it.
        this.#options.log("error", "the guard does not answer; it is killed");
        this.#kill();
      });
    };
    heard(WELCOME_MS_MAX);
    try {
      this.#send({
        kind: "hello",
        protocol: GUARD_PROTOCOL,
        heartbeatMs,
        ...(watchdog === undefined ? {} : { watchdog }),
      });
      for (;;) {
        const message = await connection.receive(end);
        if (message === null) return;
        heard(SILENCE_MS_MAX);
        this.#receive(parseFromGuard(message.bytes), message.fd);
      }
    } finally {
      silence();
      this.#connection = undefined;
      connection.close();
      for (const answer of this.#answers.values()) answer(undefined, false);
    }
  }

  #receive(message: FromGuard | undefined, fd: number | undefined): void {
    const { log } = this.#options;
    if (fd !== undefined && message?.kind !== "claimed") libc().close(fd);
    switch (message?.kind) {
      case "welcome":
        if (message.protocol !== GUARD_PROTOCOL) {
          // It outlived an update. Its lines fall free for a moment, and are this box's to request.
          this.#kill();
          throw new HalError("protocol", `a guard of another version ran (${message.protocol})`);
        }
        this.#fault = undefined;
        this.#found = new Set(message.lines);
        for (const line of this.#lines.values()) this.#handOver(line);
        // The guard may be the same that took a lost connection for a death.
        if (this.#ready) this.ready();
        return this.#welcomed();
      case "busy":
        throw new HalError("busy", "another box is at the guard; give each box its own --data");
      case "claimed":
      case "released": {
        const answer = this.#answers.get(`${message.kind} ${message.id}`);
        if (answer !== undefined) answer(fd, message.kind === "claimed" && message.activeLow);
        else if (fd !== undefined) libc().close(fd);
        return;
      }
      case "ping":
        if (this.#alive()) this.#send({ kind: "alive", n: message.n });
        return;
      case "resumed":
        log(
          "error",
          "the box stood still and its outputs went to on-crash; they are driven again",
          {
            deadMs: message.deadMs,
          },
        );
        for (const line of this.#lines.values()) line.redrive();
        return this.#onResumed(message.deadMs);
      case "fault":
        this.#fault = message.message;
        log("error", message.message);
        return;
      case undefined:
        throw new HalError("protocol", "the guard sent what is no message");
      default:
        message satisfies never;
    }
  }

  #kill(): void {
    if (this.#connection !== undefined) libc().kill(this.#connection.peer().pid, SIGKILL);
  }

  #handOver({ id, onCrash, activeLow, fd }: GuardedLine): void {
    this.#send({ kind: "hold", id, onCrash, activeLow }, fd);
  }

  #send(message: ToGuard, fd?: number): void {
    if (this.#connection?.send(encodeMessage(message), fd) !== false) return;
    // It reads nothing, or is dead: the next guard gets everything anew.
    this.#connection.close();
  }

  /** Asks, and waits for the answer of that line; without a guard the answer is nothing. */
  #ask(
    message: Extract<ToGuard, { kind: "claim" | "release" }>,
  ): Promise<readonly [number | undefined, boolean]> {
    if (this.#connection === undefined) return Promise.resolve([undefined, false]);
    const key = `${message.kind === "claim" ? "claimed" : "released"} ${message.id}`;
    const { promise, resolve } = Promise.withResolvers<readonly [number | undefined, boolean]>();
    const answer = (fd: number | undefined, activeLow: boolean) => {
      cancel();
      this.#answers.delete(key);
      resolve([fd, activeLow]);
    };
    const cancel = this.#options.clock.schedule(ANSWER_MS_MAX, () => answer(undefined, false));
    this.#answers.set(key, answer);
    this.#send(message);
    return promise;
  }

  #welcomed(): void {
    this.#welcome?.();
    this.#welcome = undefined;
  }
}
