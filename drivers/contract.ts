/**
 * What a driver is. A driver turns one kind of device into one of the small interfaces below; the
 * runtime knows only these. Drivers are listed, one a line, in `registry.ts`.
 *
 * @module
 */
import type { GenericSchema } from "valibot";
import type {
  AnalogHost,
  ByteStream,
  Cancel,
  Clock,
  GpioHost,
  HidHost,
  OneWireHost,
  SerialPort,
  SerialSettings,
} from "../hal/mod.ts";

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

/**
 * What is wrong with the wiring of a supervised input: `open` a broken wire, `short` wires that
 * touch, `contradiction` two contacts of one button or panel that cannot both be right.
 */
export type InputFault = "open" | "short" | "contradiction";

/** An input that senses something: a door contact, a button. */
export interface InputLine {
  /** Logical level, or `undefined` while it is unknown (reader offline, wire broken, not read yet). */
  active(): boolean | undefined;
  /** What is wrong with its wires, as far as the input can tell; `undefined` when nothing is. */
  fault(): InputFault | undefined;
  /** Calls back on each change of level or fault, also to and from `undefined`. */
  onChange(listener: (active: boolean | undefined, atMonotonicMs: number) => void): Cancel;
}

/** One reader, as the runtime sees it. */
export interface CardReader {
  /** Gives it files; absent where its protocol has no way to. */
  readonly firmware?: ReaderFirmware;
  /** Whether it answers. A one-way reader counts as online while its port or line is there. */
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

/** A file for a reader, read in parts: it is never held whole. */
export interface ReaderFile {
  /** In bytes, at least 1. */
  readonly size: number;
  /** Exactly `length` bytes from `offset` on. */
  readonly read: (offset: number, length: number) => Promise<Uint8Array>;
}

/** How a reader is given a file. */
export interface ReaderFileOptions {
  /** Kind of file, in the protocol's own numbers; the usual one without it. */
  readonly type?: number;
  /** Where to go on, after the box was restarted; default 0. */
  readonly fromOffset?: number;
  /** Called with what the reader has acknowledged, in bytes. */
  readonly onProgress?: (sentBytes: number) => void;
}

/** A reader whose firmware can be changed over its line. */
export interface ReaderFirmware {
  /** What it says of itself; `undefined` while it is unknown. */
  identity(): ReaderIdentity | undefined;
  /**
   * Gives it `file` while it and its neighbours go on reading cards, as far as it can do both; resolves
   * when it has taken it. An aborted transfer is to go on another time.
   *
   * @throws `HalError` `unsupported`, `protocol` when it rejects the file, `timeout`; the signal's reason.
   */
  take(file: ReaderFile, options: ReaderFileOptions, signal: AbortSignal): Promise<void>;
}

/** The readers of one serial line. Disposal closes the port and reports each offline (`closed`). */
export interface ReaderBus extends AsyncDisposable {
  /** In the order of the options that it was opened with. */
  readonly readers: readonly CardReader[];
}

/** What a serial driver gets from its host. */
export interface SerialDriverHost {
  readonly clock: Clock;
  readonly log: DriverLog;
  /**
   * Opens the line. The driver calls it again after a `disconnected`, with back-off, for as long as
   * it lives: a pulled adapter comes back without a restart. `change` is for a device that was told to
   * speak otherwise than box.yaml says; the port's settings show whether the host could do it.
   */
  readonly openPort: (
    signal: AbortSignal,
    change?: Partial<SerialDefaults>,
  ) => Promise<SerialPort>;
  /** Lines for a reader's LED and buzzer where it has no commands for them; absent where there are none. */
  readonly gpio?: GpioHost;
}

/** What a driver gets whose device is not on a serial line that `box.yaml` names. */
export interface DeviceHost {
  readonly clock: Clock;
  readonly log: DriverLog;
  /** The kernel's chips and the expanders of `box.yaml`, by their names. */
  readonly gpio: GpioHost;
  /** The kernel's converters and those of expanders. */
  readonly analog: AnalogHost;
  readonly hid: HidHost;
  readonly oneWire: OneWireHost;
  /** Connects to a local daemon's stream socket, such as pcscd's. @throws `HalError` `not-found`, `permission`. */
  readonly connectUnix: (path: string, signal: AbortSignal) => Promise<ByteStream>;
}

/** How a serial device is set up unless `box.yaml` says otherwise. */
export type SerialDefaults = Pick<SerialSettings, "baudRate" | "parity" | "stopBits">;

/** What every driver says of itself. `O` are the options of one device. */
export interface DriverOf<O> {
  /** As `driver:` in `box.yaml`; unique within its kind. */
  readonly id: string;
  /** Datasheet, protocol document or standard that it follows, with the section. */
  readonly reference: string;
  /** Shape of the options, for the published schema of `box.yaml`. */
  readonly optionsSchema: GenericSchema;
  /** Parses the options. @throws a `ValiError` naming the field. */
  readonly parseOptions: (raw: unknown) => O;
}

/** What every driver on a serial line says of itself. */
export interface SerialDriverOf<O> extends DriverOf<O> {
  readonly bus: "serial";
  /** Used where the bus of `box.yaml` does not say. */
  readonly serialDefaults: SerialDefaults;
  /** Devices on one line; 1 where the protocol has no addresses. */
  readonly devicesMax: number;
}

/** A driver for readers on a serial line. */
export interface ReaderBusDriver<O> extends SerialDriverOf<O> {
  readonly kind: "card-reader";
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

/** A driver for one device that is not on a serial line of `box.yaml`. `D` is what it becomes. */
export interface DeviceDriverOf<O, D> extends DriverOf<O> {
  readonly bus: "gpio" | "analog" | "hid" | "one-wire" | "socket";
  /** Takes the device. @throws `HalError` when it cannot be had; a pluggable one that is missing is waited for instead. */
  readonly open: (
    host: DeviceHost,
    options: O,
    signal: AbortSignal,
  ) => Promise<D & AsyncDisposable>;
}

/** A driver for one reader on GPIO lines, USB HID, 1-Wire or a daemon's socket. */
export interface ReaderDriver<O> extends DeviceDriverOf<O, CardReader> {
  readonly kind: "card-reader";
}

/** A driver for one output. */
export interface OutputDriver<O> extends DeviceDriverOf<O, OutputLine> {
  readonly kind: "output";
}

/** A driver for one input. */
export interface InputDriver<O> extends DeviceDriverOf<O, InputLine> {
  readonly kind: "input";
}

/** Something that is measured: a temperature, a brightness. */
export interface Sensor {
  /** UCUM unit of the value: `Cel`, `lx`, `%`. */
  readonly unit: string;
  /** The last value; `undefined` before the first and while the sensor is gone. */
  value(): number | undefined;
  /** Calls back with each new value. */
  onReading(listener: (value: number | undefined, atMonotonicMs: number) => void): Cancel;
}

/** A driver for one sensor. */
export interface SensorDriver<O> extends DeviceDriverOf<O, Sensor> {
  readonly kind: "sensor";
}

/** A board with lines of its own; its id in `box.yaml` is the `chip` by which they are requested. */
export interface Expander {
  /** Whether it answers. */
  online(): boolean;
  /** Calls back when it comes or goes. */
  onOnline(listener: (online: boolean) => void): Cancel;
  /** Its digital lines; `settings.chip` is not looked at. */
  readonly gpio: GpioHost;
  /** Its analog inputs; `settings.chip` is not looked at. */
  readonly analog: AnalogHost;
}

/** The expanders of one serial line. */
export interface ExpanderBus extends AsyncDisposable {
  /** In the order of the options that it was opened with. */
  readonly expanders: readonly Expander[];
}

/** A driver for I/O boards on a serial line. */
export interface ExpanderDriver<O> extends SerialDriverOf<O> {
  readonly kind: "expander";
  /** Takes the line; boards that do not answer do not hold it up. */
  readonly open: (
    host: SerialDriverHost,
    boards: readonly O[],
    signal: AbortSignal,
  ) => Promise<ExpanderBus>;
}

/** One read in a patrol baton's memory. */
export interface BatonRead {
  /** Number of the read; grows from read to read within one filling of the memory. */
  readonly record: number;
  /** The tag's number as hex, two digits a byte. */
  readonly tag: string;
  /**
   * Wall time of the read, in ms since 1970, corrected by the baton's clock offset. It may differ by
   * some ms when the same read is downloaded again, so it is no part of the read's identity.
   */
  readonly atWallMs: number;
}

/** Some reads of a baton, in order. */
export interface BatonChunk {
  /** Serial number of the baton. */
  readonly baton: string;
  /**
   * Which filling of its memory they are of: another after each clearing. With `baton` and `record`
   * it makes a read unique for ever. At most 64 characters; a driver whose baton has no such thing
   * makes it of the first read in the memory.
   */
  readonly memory: string;
  /** At most 256. */
  readonly reads: readonly BatonRead[];
}

/** A downloadable patrol baton's cradle or cable. */
export interface PatrolBaton {
  /** Whether a baton is attached. */
  online(): boolean;
  /**
   * Calls back with the reads of an attached baton in chunks, in order. The next chunk comes, and the
   * baton's memory is cleared, only after `stored` of all before was fulfilled; one that was rejected
   * is given again. After a pull or a restart reads may come again that were given before: the
   * receiver knows them by `(baton, memory, record)`. Nothing is downloaded while nobody listens.
   */
  onReads(stored: (chunk: BatonChunk) => Promise<void>): Cancel;
  /** Calls back when a baton comes or goes, and when a download has ended with its memory cleared. */
  onState(listener: (state: "attached" | "detached" | "emptied") => void): Cancel;
}

/** A driver for patrol batons on a serial line. */
export interface PatrolBatonDriver<O> extends SerialDriverOf<O> {
  readonly kind: "patrol-baton";
  /** Takes the line; a baton may come later. */
  readonly open: (
    host: SerialDriverHost,
    options: readonly O[],
    signal: AbortSignal,
  ) => Promise<PatrolBaton & AsyncDisposable>;
}

/** Any driver. */
export type Driver<O> =
  | ReaderBusDriver<O>
  | ReaderDriver<O>
  | OutputDriver<O>
  | InputDriver<O>
  | SensorDriver<O>
  | ExpanderDriver<O>
  | PatrolBatonDriver<O>;

/**
 * Declares a driver; only checks types.
 *
 * ```ts
 * export const osdp = defineDriver({ id: "osdp", kind: "card-reader", bus: "serial", reference, optionsSchema, parseOptions, open });
 * ```
 */
export function defineDriver<O, D extends Driver<O>>(driver: D & Driver<O>): D {
  return driver;
}
