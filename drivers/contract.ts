/**
 * What a driver is. A driver turns one kind of device into one of the small interfaces below; the
 * runtime knows only these. Drivers are listed, one a line, in `registry.ts`.
 *
 * @module
 */
import type { GenericSchema } from "valibot";
import type { Cancel, Clock, GpioHost, SerialPort } from "../hal/mod.ts";

/** One line of diagnosis from a driver, with fields for the structured log. */
export type DriverLog = (
  level: "debug" | "info" | "warn" | "error",
  message: string,
  fields?: Readonly<Record<string, string | number | boolean>>,
) => void;

/** Why a reader counts as offline. */
export type OfflineReason = "no-reply" | "bus-lost" | "protocol" | "closed";

/** What a reader says of itself, as far as its protocol tells. */
export interface ReaderIdentity {
  /** Manufacturer, for OSDP the IEEE OUI in hex (PDID, IEC 60839-11-5 §6.4). */
  readonly vendor: string;
  /** Manufacturer's model number. */
  readonly model: number;
  /** Hardware version. */
  readonly version: number;
  /** Serial number in hex. */
  readonly serial: string;
  /** Firmware as `major.minor.build`. */
  readonly firmware: string;
}

/** What a reader reports. `receivedMonotonicMs` is when the last byte of it became readable. */
export type ReaderEvent =
  | {
    /** A card was presented. */
    readonly kind: "card";
    /** Length of the card number in bits, 1 to 255. */
    readonly bits: number;
    /** The number as it came, first bit in the high bit of byte 0, ceil(bits / 8) bytes. */
    readonly data: Uint8Array;
    readonly receivedMonotonicMs: number;
  }
  | {
    /** Keys were pressed: `0`–`9`, `*`, `#`. */
    readonly kind: "keys";
    readonly keys: string;
    readonly receivedMonotonicMs: number;
  }
  | { readonly kind: "online"; readonly identity: ReaderIdentity | undefined }
  | { readonly kind: "offline"; readonly reason: OfflineReason }
  | { readonly kind: "tamper"; readonly active: boolean }
  | { readonly kind: "power"; readonly failed: boolean };

/** What the person at the reader is told. */
export type ReaderFeedback = "granted" | "denied" | "idle" | "locked" | "free" | "alarm";

/** An output that switches something: a lock relay, a siren. */
export interface OutputLine {
  /**
   * Drives the output. Never waits: it is either done on return (GPIO), or the next thing that is
   * sent to the device (a reader's relay).
   *
   * `revertAfterMs`, where the device can do it by itself, makes it fall back to inactive after
   * that time even if the box dies meanwhile; it is a safety net beside the caller's own timing.
   */
  set(active: boolean, options?: { readonly revertAfterMs?: number }): void;
  /** What it was last told, or `undefined` before that. */
  commanded(): boolean | undefined;
  /** Calls back just after the device was driven (for a reader's relay: after the bytes were handed to the line). */
  onDriven(listener: (active: boolean, atMonotonicMs: number) => void): Cancel;
}

/** An input that senses something: a door contact, a button. */
export interface InputLine {
  /** Logical level, or `undefined` while it is unknown (reader offline, not read yet). */
  active(): boolean | undefined;
  /** Calls back on each change, also to and from `undefined`. */
  onChange(listener: (active: boolean | undefined, atMonotonicMs: number) => void): Cancel;
}

/** One reader, as the runtime sees it. */
export interface CardReader {
  /** Its address on the bus. */
  readonly address: number;
  /** Whether it answers. */
  online(): boolean;
  /** Subscribes; the callback runs in the tick in which the bytes were read. */
  onEvent(listener: (event: ReaderEvent) => void): Cancel;
  /** Shows `feedback` by LED and buzzer. Never waits: the next thing that is sent to this reader. */
  show(feedback: ReaderFeedback): void;
  /** The reader's relay `index`, from 0. */
  output(index: number): OutputLine;
  /** The reader's input `index`, from 0. */
  input(index: number): InputLine;
}

/** Several readers on one serial line. Disposal closes the port and reports each offline (`closed`). */
export interface ReaderBus extends AsyncDisposable {
  /** The reader at `address`, one of those that the bus was opened with. @throws RangeError otherwise. */
  reader(address: number): CardReader;
}

/** What a serial driver gets from its host. */
export interface SerialDriverHost {
  readonly clock: Clock;
  readonly log: DriverLog;
  /**
   * Opens the line. The driver calls it again after a `disconnected`, with back-off, for as long as
   * it lives: a pulled adapter comes back without a restart.
   */
  readonly openPort: (signal: AbortSignal) => Promise<SerialPort>;
}

/** What a GPIO driver gets from its host. */
export interface GpioDriverHost {
  readonly clock: Clock;
  readonly log: DriverLog;
  readonly gpio: GpioHost;
}

/** A driver for readers that share a serial line. `O` are the options of one reader. */
export interface ReaderBusDriver<O> {
  readonly id: string;
  readonly kind: "card-reader";
  readonly bus: "serial";
  /** Shape of one reader's options, for the published schema of `box.yaml`. */
  readonly optionsSchema: GenericSchema;
  /** Parses one reader's options. @throws a `ValiError` naming the field. */
  readonly parseOptions: (raw: unknown) => O;
  /**
   * Takes the line and starts polling. Resolves as soon as the port is open or being retried;
   * readers that do not answer do not hold it up. `signal` ends everything, as disposal does.
   */
  readonly open: (
    host: SerialDriverHost,
    readers: readonly O[],
    signal: AbortSignal,
  ) => Promise<ReaderBus>;
}

/** A driver for one reader on GPIO lines. `O` are its options. */
export interface GpioReaderDriver<O> {
  readonly id: string;
  readonly kind: "card-reader";
  readonly bus: "gpio";
  /** Shape of its options, for the published schema of `box.yaml`. */
  readonly optionsSchema: GenericSchema;
  /** Parses its options. @throws a `ValiError` naming the field. */
  readonly parseOptions: (raw: unknown) => O;
  /** Takes the reader's lines. @throws `HalError` when one cannot be had. */
  readonly open: (
    host: GpioDriverHost,
    options: O,
    signal: AbortSignal,
  ) => Promise<CardReader & AsyncDisposable>;
}

/** A driver for one output. */
export interface OutputDriver<O> {
  readonly id: string;
  readonly kind: "output";
  readonly bus: "gpio";
  /** Shape of its options, for the published schema of `box.yaml`. */
  readonly optionsSchema: GenericSchema;
  /** Parses its options. @throws a `ValiError` naming the field. */
  readonly parseOptions: (raw: unknown) => O;
  readonly open: (
    host: GpioDriverHost,
    options: O,
    signal: AbortSignal,
  ) => Promise<OutputLine & AsyncDisposable>;
}

/** A driver for one input. */
export interface InputDriver<O> {
  readonly id: string;
  readonly kind: "input";
  readonly bus: "gpio";
  /** Shape of its options, for the published schema of `box.yaml`. */
  readonly optionsSchema: GenericSchema;
  /** Parses its options. @throws a `ValiError` naming the field. */
  readonly parseOptions: (raw: unknown) => O;
  readonly open: (
    host: GpioDriverHost,
    options: O,
    signal: AbortSignal,
  ) => Promise<InputLine & AsyncDisposable>;
}

/** Any driver. */
export type Driver<O> =
  | ReaderBusDriver<O>
  | GpioReaderDriver<O>
  | OutputDriver<O>
  | InputDriver<O>;

/**
 * Declares a driver; only checks types.
 *
 * ```ts
 * export const osdp = defineDriver({ id: "osdp", kind: "card-reader", bus: "serial", optionsSchema, parseOptions, open });
 * ```
 */
export function defineDriver<O, D extends Driver<O>>(driver: D & Driver<O>): D {
  return driver;
}
