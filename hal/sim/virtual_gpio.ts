import type { Cancel, Clock } from "../clock.ts";
import { HalError } from "../error.ts";
import type { GpioEdge, GpioHost, GpioLine, GpioSettings } from "../gpio.ts";

/** Told of each level that the box drives. */
export type DrivenListener = (
  chip: string,
  line: number,
  high: boolean,
  atMonotonicMs: number,
) => void;

/** The kernel's event buffer as Gatehouse asks for it. */
const EDGES_MAX = 1_024;

interface Pin {
  high: boolean;
  /** Whether a test or an output set the level; otherwise a pull decides. */
  driven: boolean;
  held: VirtualLine | undefined;
}

/**
 * GPIO chips that are not there. Every chip and line exists; tests and the demo set the voltage of
 * inputs and watch outputs.
 *
 * ```ts
 * const gpio = new VirtualGpio(clock);
 * gpio.setLevel("gpiochip0", 4, true);
 * gpio.onDriven((chip, line, high) => console.log(chip, line, high));
 * ```
 */
export class VirtualGpio implements GpioHost {
  readonly #clock: Clock;
  readonly #pins = new Map<string, Pin>();
  readonly #listeners = new Set<DrivenListener>();

  /** Debounces and stamps by `clock`. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** See {@link GpioHost.request}; like the kernel's, a line is held by one at a time. */
  request(settings: GpioSettings, signal: AbortSignal): Promise<GpioLine> {
    return new Promise((resolve) => {
      signal.throwIfAborted();
      const pin = this.#pin(settings.chip, settings.line);
      if (pin.held !== undefined) {
        throw new HalError("busy", `GPIO line ${settings.line} of ${settings.chip}: it is held`);
      }
      if (!pin.driven && settings.direction === "input") pin.high = settings.bias === "pull-up";
      const line = new VirtualLine(settings, pin, this.#clock, (high) => {
        for (const listener of [...this.#listeners]) {
          listener(settings.chip, settings.line, high, this.#clock.monotonicMs());
        }
      });
      pin.held = line;
      if (settings.direction === "output") line.write(settings.initial ?? false);
      resolve(line);
    });
  }

  /** Voltage of a line: what an output drives, or an input was set to. */
  level(chip: string, line: number): boolean {
    return this.#pin(chip, line).high;
  }

  /** Sets the voltage at an input, as a contact or button would. */
  setLevel(chip: string, line: number, high: boolean): void {
    const pin = this.#pin(chip, line);
    if (pin.held?.settings.direction === "output") {
      throw new Error(`GPIO line ${line} of ${chip} is an output of the box`);
    }
    pin.driven = true;
    if (pin.high === high) return;
    pin.high = high;
    pin.held?.moved();
  }

  /** Makes the next `count` edges of a held input be lost, as on a full event buffer. */
  loseEdges(chip: string, line: number, count: number): void {
    this.#pin(chip, line).held?.lose(count);
  }

  /** Pulls the chip: its lines are disconnected, and may be requested anew. */
  unplug(chip: string): void {
    for (const [key, pin] of this.#pins) {
      if (key.startsWith(`${chip}\n`)) pin.held?.unplug();
    }
  }

  /** Calls back each time an output is driven. */
  onDriven(listener: DrivenListener): Cancel {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #pin(chip: string, line: number): Pin {
    const key = `${chip}\n${line}`;
    let pin = this.#pins.get(key);
    if (pin === undefined) {
      pin = { high: false, driven: false, held: undefined };
      this.#pins.set(key, pin);
    }
    return pin;
  }
}

class VirtualLine implements GpioLine {
  readonly settings: GpioSettings;
  readonly #pin: Pin;
  readonly #clock: Clock;
  readonly #onDriven: (high: boolean) => void;
  readonly #edges: GpioEdge[] = [];
  #sequence = 0;
  #toLose = 0;
  /** The level after debouncing. */
  #active: boolean;
  #debouncing: Cancel | undefined;
  #wake: (() => void) | undefined;
  #gone: string | undefined;

  constructor(settings: GpioSettings, pin: Pin, clock: Clock, onDriven: (high: boolean) => void) {
    this.settings = settings;
    this.#pin = pin;
    this.#clock = clock;
    this.#onDriven = onDriven;
    this.#active = this.#logical();
  }

  read(): boolean {
    this.#check();
    return this.settings.direction === "input" ? this.#active : this.#logical();
  }

  write(active: boolean): void {
    this.#check();
    if (this.settings.direction !== "output") throw this.#fault("invalid", "it is an input");
    this.#pin.driven = true;
    this.#pin.high = active !== (this.settings.activeLow ?? false);
    this.#onDriven(this.#pin.high);
  }

  async *edges(signal: AbortSignal): AsyncGenerator<GpioEdge, void, undefined> {
    if (this.settings.direction !== "input") throw this.#fault("invalid", "it is an output");
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
    this.#release("it is released");
    return Promise.resolve();
  }

  moved(): void {
    const debounceMs = this.settings.debounceMs ?? 0;
    this.#debouncing?.();
    if (debounceMs === 0) return this.#report();
    this.#debouncing = this.#clock.schedule(debounceMs, () => this.#report());
  }

  lose(count: number): void {
    this.#toLose += count;
  }

  unplug(): void {
    this.#release("the chip is gone");
  }

  #release(because: string): void {
    if (this.#gone !== undefined) return;
    this.#gone = because;
    this.#debouncing?.();
    this.#pin.held = undefined;
    this.#wake?.();
  }

  #report(): void {
    if (this.#logical() === this.#active) return;
    this.#active = this.#logical();
    this.#sequence++;
    if (this.#toLose > 0) {
      this.#toLose--;
      return;
    }
    this.#edges.push({
      active: this.#active,
      atMonotonicMs: this.#clock.monotonicMs(),
      sequence: this.#sequence,
    });
    if (this.#edges.length > EDGES_MAX) this.#edges.shift();
    this.#wake?.();
  }

  #logical(): boolean {
    return this.#pin.high !== (this.settings.activeLow ?? false);
  }

  #check(): void {
    if (this.#gone !== undefined) throw this.#fault("disconnected", this.#gone);
  }

  #fault(kind: HalError["kind"], what: string): HalError {
    return new HalError(kind, `GPIO line ${this.settings.line} of ${this.settings.chip}: ${what}`);
  }
}
