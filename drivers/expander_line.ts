/**
 * Single lines of an I/O board, for `expander_lines.ts`.
 *
 * @module
 */
import {
  type AnalogLine,
  type AnalogSettings,
  type Cancel,
  type Clock,
  type GpioEdge,
  type GpioLine,
  type GpioSettings,
  HalError,
} from "../hal/mod.ts";

/** As the kernel's buffer: {@link GpioLine.edges}. */
const EDGES_MAX = 1_024;

/** What a kind of board can do, and how it is told. Levels here are those at the terminals. */
export interface BoardActions {
  /** Throws a `HalError` unless the board has this line and can do what `settings` ask for. */
  readonly check: (settings: GpioSettings) => void;
  /** Throws a `HalError` unless the board has this channel. */
  readonly checkChannel: (channel: number) => void;
  /**
   * Drives an output as the next thing on the line; while the board is gone it keeps the level for
   * later. `revertMs`: the board itself takes it back after so long.
   */
  readonly drive: (line: number, high: boolean, revertMs: number | undefined) => void;
  /** Whether the board can take an output at level `high` back by itself. */
  readonly canRevert: (line: number, high: boolean) => boolean;
  /** Resolves when what was driven is with the board, or it is known not to come there. */
  readonly driven: (line: number) => Promise<void>;
  /** A line or channel was taken or let go. */
  readonly changed?: () => void;
}

/**
 * One input. It waits until the board tells its level, then lives until the board is gone; whoever
 * holds it asks for it again.
 */
export class InputOnBoard implements GpioLine {
  readonly settings: GpioSettings;
  readonly #clock: Clock;
  readonly #name: string;
  readonly #gone: () => void;
  readonly #edges: GpioEdge[] = [];
  #sequence = 0;
  /** Logical, debounced; `undefined` before the board told it. */
  #active: boolean | undefined;
  /** The level that must hold before it counts. */
  #candidate: boolean | undefined;
  #debouncing: Cancel | undefined;
  #wake: (() => void) | undefined;
  #over: string | undefined;

  /** `high` where the board has told its level already. */
  constructor(
    settings: GpioSettings,
    high: boolean | undefined,
    clock: Clock,
    name: string,
    gone: () => void,
  ) {
    this.settings = settings;
    if (high !== undefined) this.#active = high !== (settings.activeLow ?? false);
    this.#clock = clock;
    this.#name = name;
    this.#gone = gone;
  }

  read(): boolean {
    this.#check();
    if (this.#active === undefined) {
      throw this.#fault("disconnected", "the board does not answer yet");
    }
    return this.#active;
  }

  write(): void {
    throw this.#fault("invalid", "it is an input");
  }

  async *edges(signal: AbortSignal): AsyncGenerator<GpioEdge, void, undefined> {
    while (!signal.aborted) {
      this.#check();
      const edge = this.#edges.shift();
      if (edge !== undefined) {
        yield edge;
        continue;
      }
      await new Promise<void>((resolve) => {
        const wake = () => {
          signal.removeEventListener("abort", wake);
          resolve();
        };
        this.#wake = wake;
        signal.addEventListener("abort", wake);
      });
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (this.#over !== "it is released") this.#gone();
    this.#end("it is released");
    return Promise.resolve();
  }

  level(high: boolean): void {
    if (this.#over !== undefined) return;
    const active = high !== (this.settings.activeLow ?? false);
    const debounceMs = this.settings.debounceMs ?? 0;
    if (this.#active === undefined || debounceMs === 0) {
      // What an input says first is its level and not a change that could bounce.
      this.#settle(active);
      return;
    }
    if (active === (this.#candidate ?? this.#active)) return;
    this.#debouncing?.();
    this.#debouncing = undefined;
    this.#candidate = undefined;
    if (active === this.#active) return;
    this.#candidate = active;
    this.#debouncing = this.#clock.schedule(debounceMs, () => this.#settle(active));
  }

  lose(): void {
    // One that was told nothing yet still waits for the board.
    if (this.#active !== undefined) this.#end("the board is gone");
  }

  #settle(active: boolean): void {
    this.#candidate = undefined;
    this.#debouncing = undefined;
    if (active === this.#active) return;
    this.#active = active;
    const atMonotonicMs = this.#clock.monotonicMs();
    this.#edges.push({ active, atMonotonicMs, sequence: ++this.#sequence });
    if (this.#edges.length > EDGES_MAX) this.#edges.shift();
    this.#wake?.();
  }

  #end(because: string): void {
    this.#over ??= because;
    this.#debouncing?.();
    this.#debouncing = undefined;
    this.#wake?.();
  }

  #check(): void {
    if (this.#over !== undefined) throw this.#fault("disconnected", this.#over);
  }

  #fault(kind: HalError["kind"], why: string): HalError {
    return new HalError(kind, `input ${this.settings.line} of ${this.#name}: ${why}`);
  }
}

/** One output. It outlives its board: what it was told last is driven when the board is back. */
export class OutputOnBoard implements GpioLine {
  readonly settings: GpioSettings;
  readonly writeFor?: (active: boolean, ms: number) => void;
  readonly #actions: BoardActions;
  readonly #name: string;
  readonly #gone: () => void;
  readonly #listeners = new Set<(active: boolean, atMonotonicMs: number) => void>();
  #active: boolean;
  #released = false;

  constructor(
    settings: GpioSettings,
    actions: BoardActions,
    name: string,
    gone: () => void,
  ) {
    this.settings = settings;
    this.#actions = actions;
    this.#name = name;
    this.#gone = gone;
    this.#active = settings.initial ?? false;
    const high = !(settings.activeLow ?? false);
    if (actions.canRevert(settings.line, high)) {
      this.writeFor = (active, ms) => this.#drive(active, ms);
    }
  }

  read(): boolean {
    this.#check();
    return this.#active;
  }

  write(active: boolean): void {
    this.#drive(active, undefined);
  }

  onDriven(listener: (active: boolean, atMonotonicMs: number) => void): Cancel {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  driven(high: boolean, atMs: number): void {
    const active = high !== (this.settings.activeLow ?? false);
    for (const listener of [...this.#listeners]) listener(active, atMs);
  }

  // deno-lint-ignore require-yield -- an output has no edges; the contract has the method
  async *edges(): AsyncGenerator<GpioEdge, void, undefined> {
    await Promise.resolve();
    throw this.#fault("invalid", "it is an output");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    // The level that its holder left it in has to reach the board before the line is closed.
    await this.#actions.driven(this.settings.line);
    this.#gone();
  }

  #drive(active: boolean, revertMs: number | undefined): void {
    this.#check();
    this.#active = active;
    const high = active !== (this.settings.activeLow ?? false);
    const reverts = revertMs !== undefined && this.#actions.canRevert(this.settings.line, high);
    this.#actions.drive(this.settings.line, high, reverts ? revertMs : undefined);
  }

  #check(): void {
    if (this.#released) throw this.#fault("disconnected", "it is released");
  }

  #fault(kind: HalError["kind"], why: string): HalError {
    return new HalError(kind, `output ${this.settings.line} of ${this.#name}: ${why}`);
  }
}

/** One analog input; it outlives its board, unknown while that is gone. */
export class ChannelOnBoard implements AnalogLine {
  readonly settings: AnalogSettings;
  readonly #clock: Clock;
  readonly #gone: () => void;
  readonly #listeners = new Set<(ratio: number | undefined, atMonotonicMs: number) => void>();
  #ratio: number | undefined;
  #released = false;

  constructor(settings: AnalogSettings, clock: Clock, gone: () => void) {
    this.settings = settings;
    this.#clock = clock;
    this.#gone = gone;
  }

  read(): number | undefined {
    return this.#ratio;
  }

  onSample(listener: (ratio: number | undefined, atMonotonicMs: number) => void): Cancel {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  sample(ratio: number | undefined): void {
    if (ratio === undefined && this.#ratio === undefined) return;
    this.#ratio = ratio;
    const atMs = this.#clock.monotonicMs();
    for (const listener of [...this.#listeners]) listener(ratio, atMs);
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (!this.#released) {
      this.#released = true;
      this.#ratio = undefined;
      this.#listeners.clear();
      this.#gone();
    }
    return Promise.resolve();
  }
}
