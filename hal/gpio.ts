import type { Cancel } from "./clock.ts";

/** How one GPIO line is requested (GPIO character device v2, `linux/gpio.h`). */
export interface GpioSettings {
  /** Chip by name or label: `gpiochip0`, `pinctrl-bcm2711`. */
  readonly chip: string;
  /** Line offset on the chip, from 0. */
  readonly line: number;
  /** `output` starts at {@link GpioSettings.initial}. */
  readonly direction: "input" | "output";
  /** Level of an output when requested, logical. Default `false`. */
  readonly initial?: boolean;
  /** Logical `true` is a low voltage. Default `false`. */
  readonly activeLow?: boolean;
  /** Pull of an input. Default `as-is`. */
  readonly bias?: "as-is" | "disabled" | "pull-up" | "pull-down";
  /** The kernel reports a level only when it held this long, in ms. Default 0. */
  readonly debounceMs?: number;
  /**
   * Logical level that an output takes when the process that holds it dies or stops answering, or
   * `keep`: whatever it was driven to. Without it the level is whatever the hardware leaves.
   */
  readonly onCrash?: boolean | "keep";
}

/** A change of level on an input. */
export interface GpioEdge {
  /** Logical level after the edge. */
  readonly active: boolean;
  /** Kernel time stamp on the scale of `Clock.monotonicMs`. */
  readonly atMonotonicMs: number;
  /** Counts this line's edges from 1; a gap means that edges were lost. */
  readonly sequence: number;
}

/** A requested line. Levels are logical: active-low is already undone. */
export interface GpioLine extends AsyncDisposable {
  /** What it was requested with. */
  readonly settings: GpioSettings;
  /** The level now. @throws `HalError` `disconnected`; also on an input of an expander that does not answer yet. */
  read(): boolean;
  /**
   * Drives an output: before this call returns on a chip of the kernel's, as the next thing sent on an
   * expander.
   *
   * An expander that does not answer is driven to what it was told last when it is back.
   *
   * @throws `HalError` `invalid` on an input, `disconnected`.
   */
  write(active: boolean): void;
  /**
   * Drives an output to `active` and has the hardware itself put it back after `ms`, even if the box
   * dies meanwhile. Absent where the hardware cannot.
   */
  readonly writeFor?: (active: boolean, ms: number) => void;
  /** Calls back when the device has confirmed that it was driven. Absent where `write` itself is that. */
  readonly onDriven?: (listener: (active: boolean, atMonotonicMs: number) => void) => Cancel;
  /**
   * Edges in order until `signal` aborts. At most 1,024 are held; older ones show as a gap. On an input
   * of an expander that does not answer yet, the first is the level that it is found at.
   *
   * @throws `HalError` `disconnected` when the chip or expander is lost; the line is asked for anew then.
   */
  edges(signal: AbortSignal): AsyncIterable<GpioEdge>;
}

/** Requests GPIO lines, each exclusively. */
export interface GpioHost {
  /** Takes a line. @throws `HalError` `not-found`, `permission`, `busy`, `invalid`, `unsupported`. */
  request(settings: GpioSettings, signal: AbortSignal): Promise<GpioLine>;
}
