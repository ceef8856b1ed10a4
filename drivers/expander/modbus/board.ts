/**
 * One board: what it was told, what it has to be asked next, and what its answers mean. It knows no
 * line and no time but what it is given.
 *
 * @module
 */
import { type Clock, type GpioSettings, HalError } from "../../../hal/mod.ts";
import type { DriverLog } from "../../contract.ts";
import { ExpanderLines } from "../../expander_lines.ts";
import type { ModbusRequest, ModbusResult } from "./client.ts";
import type { ModbusOptions } from "./options.ts";

/** Questions in a row without an answer that make a board count as gone. */
const MISSES_MAX = 3;
/** How often a board is tried that does not answer. */
const FAILING_RETRY_MS = 1_000;
/** How often relays are read back: a board that lost its power for a moment has let them go. */
const READ_BACK_MS = 500;
/** How often something is asked again that the board refuses. */
const REFUSED_RETRY_MS = 5_000;
/** After the board's own timer should have ended, its relay is not looked at for so long. */
const TIMER_GRACE_MS = 1_500;
/** Longest that the release of an output waits for its last level to reach the board. */
const DRIVEN_MS_MAX = 1_000;

/** Meanings of exception codes (Application Protocol V1.1b3 §7) for an installer. */
const EXCEPTIONS: Readonly<Record<number, string>> = {
  1: "it does not know this function; look into its manual and mend outputs.commands, inputs.read or analog.read",
  2: "it has no such address; mend count and at",
  3: "it does not take this value",
  4: "it failed in carrying it out",
  6: "it is busy",
};

/** What an output shall be. */
export interface Wanted {
  readonly high: boolean;
  /** When the board itself takes it back. */
  readonly endsMs: number | undefined;
}

/** One question for a board. */
export interface Turn {
  readonly request: ModbusRequest;
  /** What it is about: the relay that it drives, or what it reads. */
  readonly about: number | "inputs" | "analog" | "outputs";
  /** What the relay is driven to. */
  readonly wanted?: Wanted;
}

/** One Modbus board as the line serves it. */
export class ModbusBoard {
  /** Its options. */
  readonly options: ModbusOptions;
  /** Its lines. */
  readonly lines: ExpanderLines;
  readonly #clock: Clock;
  readonly #log: DriverLog;
  readonly #wake: () => void;
  readonly #wanted = new Map<number, Wanted>();
  /** Relays that were not driven yet to what is wanted. */
  readonly #pending = new Set<number>();
  /** Whoever waits until a relay was driven. */
  readonly #waiting = new Map<number, () => void>();
  /** When each kind of read is due. */
  readonly #dueMs = { inputs: 0, analog: 0, outputs: 0 };
  readonly #refused = new Set<Turn["about"]>();
  #misses = 0;
  #damaged = false;
  /** Whether it was said that it does not answer. */
  #told = false;
  #retryMs = 0;

  /** `wake` is called when there is something to send. */
  constructor(options: ModbusOptions, clock: Clock, log: DriverLog, wake: () => void) {
    this.options = options;
    this.#clock = clock;
    this.#log = log;
    this.#wake = wake;
    this.lines = new ExpanderLines(`Modbus board ${options.address}`, clock, {
      check: (settings) => this.#check(settings),
      checkChannel: (channel) =>
        this.#within("analog inputs", channel, options.analog?.count ?? 0, "analog"),
      drive: (line, high, revertMs) => this.#drive(line, high, revertMs),
      canRevert: (_line, high) => this.#canRevert(high),
      driven: (line) => this.#driven(line),
    });
  }

  /** Whether it does not answer. */
  get failing(): boolean {
    return this.#misses >= MISSES_MAX;
  }

  /** Whether an output is to be driven: that goes before every read. */
  get urgent(): boolean {
    return this.#pending.size > 0 && this.#misses === 0;
  }

  /** When it should be asked next. */
  get dueMs(): number {
    if (this.failing || this.#misses > 0) return this.#retryMs;
    if (this.urgent) return 0;
    return Math.min(...this.#reads().map((about) => this.#dueMs[about]));
  }

  /** The line was opened: everything is asked at once. */
  connected(): void {
    this.#misses = 0;
    this.#retryMs = 0;
    this.#dueMs.inputs = this.#dueMs.analog = this.#dueMs.outputs = 0;
    for (const line of this.#wanted.keys()) this.#pending.add(line);
  }

  /** The line is lost or closed. */
  lost(): void {
    this.#misses = MISSES_MAX;
    this.#held();
    this.lines.setOnline(false);
  }

  /** What it is asked next. */
  next(nowMs: number): Turn {
    const [line] = this.#pending;
    if (line !== undefined && !this.failing) return this.#driving(line, nowMs);
    const [about] = this.#reads().toSorted((a, b) => this.#dueMs[a] - this.#dueMs[b]);
    return { about: about!, request: this.#reading(about!) };
  }

  /** Takes how a turn went. */
  take({ about, wanted }: Turn, result: ModbusResult, nowMs: number): void {
    if (result.kind === "silent" || result.kind === "damaged") {
      return this.#missed(result.kind, nowMs);
    }
    const back = !this.lines.online();
    this.#misses = 0;
    this.#damaged = false;
    if (typeof about !== "number") {
      this.#dueMs[about] = nowMs +
        (about === "outputs" ? READ_BACK_MS : this.options.pollMs);
    }
    if (result.kind === "exception") this.#exception(about, result.code, nowMs);
    else {
      this.#refused.delete(about);
      if (typeof about === "number") this.#wasDriven(about, wanted);
      else if (about === "outputs") this.#readBack(result, nowMs);
      else this.#heard(result);
    }
    if (!back) return;
    this.#told = false;
    this.#log("info", "a Modbus board answers", { address: this.options.address });
    // Last, so that whoever then asks for an input finds its level.
    this.lines.setOnline(true);
  }

  #heard(result: ModbusResult): void {
    if (result.kind === "bits") {
      for (const [line, high] of result.bits.entries()) this.lines.level(line, high);
    } else if (result.kind === "words") {
      const { full } = this.options.analog!;
      for (const [channel, word] of result.words.entries()) this.lines.sample(channel, word / full);
    }
  }

  #missed(how: "silent" | "damaged", nowMs: number): void {
    this.#damaged ||= how === "damaged";
    this.#misses = Math.min(this.#misses + 1, MISSES_MAX);
    this.#retryMs = this.failing ? nowMs + FAILING_RETRY_MS : nowMs;
    if (this.failing) this.#gone();
  }

  #gone(): void {
    this.#held();
    if (this.#told) return;
    this.#told = true;
    const advice = this.#damaged
      ? "what comes back is no answer: check baud rate, parity, A and B, and that no two boards have one address"
      : "check its power, its cable and its address";
    this.#log("error", `a Modbus board does not answer; ${advice}`, {
      address: this.options.address,
    });
    this.lines.setOnline(false);
  }

  /** Orders wait until the board is back; whoever waits for them does not. */
  #held(): void {
    for (const settle of [...this.#waiting.values()]) settle();
    for (const line of this.#wanted.keys()) this.#pending.add(line);
  }

  #exception(about: Turn["about"], code: number, nowMs: number): void {
    const what = typeof about === "number" ? `relay ${about} to be driven` : `${about} to be read`;
    const why = EXCEPTIONS[code] ?? `exception ${code}`;
    if (!this.#refused.has(about)) {
      this.#log("error", `a Modbus board does not let ${what}: ${why}`, {
        address: this.options.address,
        code,
      });
    }
    this.#refused.add(about);
    if (typeof about === "number") {
      // Asked again with the next read back, so that a busy board gets its level all the same.
      this.#pending.delete(about);
      this.#waiting.get(about)?.();
    } else {
      this.#dueMs[about] = nowMs + REFUSED_RETRY_MS;
    }
  }

  /** All that it has is read, whether or not it is used: that also shows whether it is there. */
  #reads(): ("inputs" | "analog" | "outputs")[] {
    const { inputs, analog, outputs } = this.options;
    return [
      ...(inputs === undefined ? [] : ["inputs" as const]),
      ...(analog === undefined ? [] : ["analog" as const]),
      ...(outputs === undefined ? [] : ["outputs" as const]),
    ];
  }

  #reading(about: "inputs" | "analog" | "outputs"): ModbusRequest {
    const { inputs, analog, outputs } = this.options;
    switch (about) {
      case "inputs":
        return { code: inputs!.read === "coil" ? 1 : 2, at: inputs!.at, count: inputs!.count };
      case "analog":
        return { code: analog!.read === "holding" ? 3 : 4, at: analog!.at, count: analog!.count };
      case "outputs":
        return {
          code: outputs!.commands === "eletechsup" ? 3 : 1,
          at: this.#firstOutput(),
          count: outputs!.count,
        };
      default:
        return about satisfies never;
    }
  }

  #driving(line: number, nowMs: number): Turn {
    const wanted = this.#wanted.get(line)!;
    const { high, endsMs } = wanted;
    const leftMs = endsMs === undefined ? undefined : endsMs - nowMs;
    const level = leftMs !== undefined && leftMs <= 0 ? !high : high;
    return { about: line, wanted, request: this.#order(line, level, Math.max(leftMs ?? 0, 0)) };
  }

  /** `leftMs` 0 is without end. A time that the board cannot count is left to whoever ordered it. */
  #order(line: number, level: boolean, leftMs: number): ModbusRequest {
    const { commands } = this.options.outputs!;
    const at = this.#firstOutput() + line;
    if (commands === "eletechsup") {
      const seconds = Math.ceil(leftMs / 1_000);
      const timed = level && seconds >= 1 && seconds <= 0xff;
      return { code: 6, at, value: timed ? 0x0600 | seconds : level ? 0x0100 : 0x0200 };
    }
    const tenths = Math.ceil(leftMs / 100);
    if (commands === "waveshare" && tenths >= 1 && tenths <= 0x7fff) {
      return { code: 5, at: (level ? 0x0200 : 0x0400) + at, value: tenths };
    }
    return { code: 5, at, on: level };
  }

  #wasDriven(line: number, wanted: Wanted | undefined): void {
    // What was asked for meanwhile is sent next.
    if (wanted === undefined || this.#wanted.get(line) !== wanted) return;
    this.#pending.delete(line);
    this.#waiting.get(line)?.();
    this.lines.driven(line, wanted.high);
  }

  #readBack(result: ModbusResult, nowMs: number): void {
    const levels = result.kind === "bits"
      ? result.bits
      : result.kind === "words"
      ? result.words.map((word) => word !== 0)
      : [];
    for (const [line, { high, endsMs }] of this.#wanted) {
      if (this.#pending.has(line)) continue;
      if (endsMs !== undefined && nowMs < endsMs + TIMER_GRACE_MS) continue;
      const level = endsMs === undefined ? high : !high;
      if (levels[line] === level) continue;
      if (!this.#refused.has(line)) {
        this.#log("warn", "a relay was not as it was told to be; it is driven again", {
          address: this.options.address,
          line,
        });
      }
      this.#pending.add(line);
    }
  }

  #drive(line: number, high: boolean, revertMs: number | undefined): void {
    const endsMs = revertMs === undefined ? undefined : this.#clock.monotonicMs() + revertMs;
    this.#wanted.set(line, { high, endsMs });
    this.#pending.add(line);
    this.#wake();
  }

  #driven(line: number): Promise<void> {
    if (!this.#pending.has(line) || !this.lines.online()) {
      this.#wanted.delete(line);
      this.#pending.delete(line);
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const settle = () => {
        cancel();
        this.#waiting.delete(line);
        this.#wanted.delete(line);
        this.#pending.delete(line);
        resolve();
      };
      const cancel = this.#clock.schedule(DRIVEN_MS_MAX, settle);
      this.#waiting.set(line, settle);
    });
  }

  #firstOutput(): number {
    const { at, commands } = this.options.outputs!;
    return at ?? (commands === "eletechsup" ? 1 : 0);
  }

  #canRevert(high: boolean): boolean {
    const commands = this.options.outputs?.commands;
    return commands === "waveshare" || (commands === "eletechsup" && high);
  }

  #check({ line, direction, bias = "as-is" }: GpioSettings): void {
    const { outputs, inputs } = this.options;
    if (direction === "output") return this.#within("relays", line, outputs?.count ?? 0, "outputs");
    this.#within("inputs", line, inputs?.count ?? 0, "inputs");
    if (bias === "as-is") return;
    throw new HalError(
      "unsupported",
      `input ${line} of Modbus board ${this.options.address}: the pull of its inputs is fixed; ` +
        `leave bias out`,
    );
  }

  #within(what: string, index: number, count: number, field: string): void {
    if (Number.isInteger(index) && index >= 0 && index < count) return;
    throw new HalError(
      "not-found",
      `Modbus board ${this.options.address} has ${count} ${what} by its ${field} in box.yaml, ` +
        `counted from 0; there is no ${index}`,
    );
  }
}
