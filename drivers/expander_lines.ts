/**
 * The lines of an I/O board as the HAL's contracts, so that every driver for GPIO lines and analog
 * inputs runs on a board unchanged. What boards have in common is here: one holder a line, logical
 * levels, debouncing, edges in order, and what happens while the board is gone.
 *
 * @module
 */
import {
  type AnalogHost,
  type AnalogLine,
  type AnalogSettings,
  type Cancel,
  type Clock,
  type GpioHost,
  type GpioLine,
  type GpioSettings,
  HalError,
} from "../hal/mod.ts";
import type { Expander } from "./contract.ts";
import { type BoardActions, ChannelOnBoard, InputOnBoard, OutputOnBoard } from "./expander_line.ts";

export { type BoardActions } from "./expander_line.ts";

/** The lines of one board. */
export class ExpanderLines implements Expander {
  /** The board's digital lines. */
  readonly gpio: GpioHost;
  /** The board's analog inputs. */
  readonly analog: AnalogHost;
  readonly #name: string;
  readonly #clock: Clock;
  readonly #actions: BoardActions;
  readonly #inputs = new Map<number, InputOnBoard>();
  readonly #outputs = new Map<number, OutputOnBoard>();
  readonly #channels = new Map<number, ChannelOnBoard>();
  readonly #listeners = new Set<(online: boolean) => void>();
  /** Last levels and samples, while the board answers. */
  readonly #levels = new Map<number, boolean>();
  readonly #ratios = new Map<number, number>();
  /** `undefined` before it was asked for the first time. */
  #online: boolean | undefined;

  /** @param name for messages, such as `board 3` */
  constructor(name: string, clock: Clock, actions: BoardActions) {
    this.#name = name;
    this.#clock = clock;
    this.#actions = actions;
    this.gpio = { request: (settings, signal) => this.#request(settings, signal) };
    this.analog = { request: (settings, signal) => this.#requestChannel(settings, signal) };
  }

  /** See {@link Expander.online}. */
  online(): boolean {
    return this.#online ?? false;
  }

  /** See {@link Expander.onOnline}. */
  onOnline(listener: (online: boolean) => void): Cancel {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * The board answers, or does so no more: then inputs are unknown until they are told anew. One that
   * did not answer from the start is told as well.
   */
  setOnline(online: boolean): void {
    if (online === this.#online) return;
    this.#online = online;
    if (!online) {
      this.#levels.clear();
      this.#ratios.clear();
      for (const input of this.#inputs.values()) input.lose();
      for (const channel of this.#channels.values()) channel.sample(undefined);
    }
    for (const listener of [...this.#listeners]) listener(online);
  }

  /** What the board says of one input's terminal; it is remembered for whoever asks for it later. */
  level(line: number, high: boolean): void {
    this.#levels.set(line, high);
    this.#inputs.get(line)?.level(high);
  }

  /** The board has confirmed that an output stands at `high`. */
  driven(line: number, high: boolean): void {
    this.#outputs.get(line)?.driven(high, this.#clock.monotonicMs());
  }

  /** What the board measured, as a share of its reference; bounded to 0 to 1. */
  sample(channel: number, ratio: number): void {
    const bounded = Math.min(Math.max(ratio, 0), 1);
    this.#ratios.set(channel, bounded);
    this.#channels.get(channel)?.sample(bounded);
  }

  /** Settings of the lines that are held. */
  held(): readonly GpioSettings[] {
    return [...this.#inputs.values(), ...this.#outputs.values()].map((line) => line.settings);
  }

  /** The analog channels that are held. */
  heldChannels(): readonly number[] {
    return [...this.#channels.keys()];
  }

  #request(settings: GpioSettings, signal: AbortSignal): Promise<GpioLine> {
    return new Promise((resolve) => {
      signal.throwIfAborted();
      this.#actions.check(settings);
      const { line, direction } = settings;
      const held = direction === "input" ? this.#inputs : this.#outputs;
      if (held.has(line)) throw this.#fault("busy", `${direction} ${line}`, "another holds it");
      const gone = () => {
        held.delete(line);
        this.#actions.changed?.();
      };
      if (direction === "input") {
        const high = this.#levels.get(line);
        const input = new InputOnBoard(settings, high, this.#clock, this.#name, gone);
        this.#inputs.set(line, input);
        this.#actions.changed?.();
        return resolve(input);
      }
      const output = new OutputOnBoard(settings, this.#actions, this.#name, gone);
      this.#outputs.set(line, output);
      this.#actions.drive(
        line,
        (settings.initial ?? false) !== (settings.activeLow ?? false),
        undefined,
      );
      this.#actions.changed?.();
      resolve(output);
    });
  }

  #requestChannel(settings: AnalogSettings, signal: AbortSignal): Promise<AnalogLine> {
    return new Promise((resolve) => {
      signal.throwIfAborted();
      const { channel } = settings;
      this.#actions.checkChannel(channel);
      if (this.#channels.has(channel)) {
        throw this.#fault("busy", `analog input ${channel}`, "another holds it");
      }
      const line = new ChannelOnBoard(settings, this.#clock, () => {
        this.#channels.delete(channel);
        this.#actions.changed?.();
      });
      this.#channels.set(channel, line);
      const ratio = this.#ratios.get(channel);
      if (ratio !== undefined) line.sample(ratio);
      this.#actions.changed?.();
      resolve(line);
    });
  }

  #fault(kind: HalError["kind"], what: string, why: string): HalError {
    return new HalError(kind, `${what} of ${this.#name}: ${why}`);
  }
}
