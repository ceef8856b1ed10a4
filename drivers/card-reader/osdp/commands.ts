/**
 * What the controller sends to a reader (IEC 60839-11-5 §6, commands), laid out and read back.
 * Times on the wire are units of 100 ms unless said otherwise.
 *
 * @module
 */

/** Codes of the commands that this driver knows. */
export const COMMAND = {
  poll: 0x60,
  id: 0x61,
  capabilities: 0x62,
  localStatus: 0x64,
  inputStatus: 0x65,
  outputStatus: 0x66,
  readerStatus: 0x67,
  output: 0x68,
  led: 0x69,
  buzzer: 0x6a,
  text: 0x6b,
  communication: 0x6e,
  keySet: 0x75,
  challenge: 0x76,
  cryptogram: 0x77,
  receiveSize: 0x7b,
  file: 0x7c,
  abort: 0xa2,
} as const;

/** Control codes of an output (§6, OUT): permanent and timed state are two layers. */
export const OUTPUT_CONTROL = {
  none: 0,
  offAbortTimed: 1,
  onAbortTimed: 2,
  offKeepTimed: 3,
  onKeepTimed: 4,
  timedOn: 5,
  timedOff: 6,
} as const;

/** Colours of a LED. */
export const COLOUR = {
  off: 0,
  red: 1,
  green: 2,
  amber: 3,
  blue: 4,
  magenta: 5,
  cyan: 6,
  white: 7,
} as const;

/** One output in an OUT command. */
export interface OutputControl {
  /** From 0. */
  readonly output: number;
  /** One of {@link OUTPUT_CONTROL}. */
  readonly control: number;
  /** Duration of a timed state, 100 ms units, 0 to 65535. */
  readonly timer100Ms: number;
}

/** A blinking pattern. */
export interface LedPattern {
  readonly on100Ms: number;
  readonly off100Ms: number;
  /** One of {@link COLOUR}. */
  readonly onColour: number;
  readonly offColour: number;
}

/** One LED in a LED command. */
export interface LedControl {
  /** Reader head, from 0. */
  readonly reader: number;
  readonly led: number;
  /** Shown for a while, then the permanent pattern returns. */
  readonly temporary?: LedPattern & { readonly timer100Ms: number };
  /** Shown from now on. */
  readonly permanent?: LedPattern;
}

/** A command with its fields. */
export type Command =
  | { readonly kind: "poll" }
  | { readonly kind: "id" }
  | { readonly kind: "capabilities" }
  | { readonly kind: "localStatus" }
  | { readonly kind: "inputStatus" }
  | { readonly kind: "outputStatus" }
  | { readonly kind: "readerStatus" }
  | { readonly kind: "output"; readonly controls: readonly OutputControl[] }
  | { readonly kind: "led"; readonly leds: readonly LedControl[] }
  | {
    readonly kind: "buzzer";
    readonly reader: number;
    /** 1 off, 2 the default tone. */
    readonly tone: number;
    readonly on100Ms: number;
    readonly off100Ms: number;
    /** How many times; 0 is without end. */
    readonly count: number;
  }
  | {
    readonly kind: "text";
    readonly reader: number;
    /** 1 permanent, 2 permanent and wrapped, 3 temporary, 4 temporary and wrapped. */
    readonly mode: number;
    /** Duration of a temporary text, in s. */
    readonly timerS: number;
    /** From 1. */
    readonly row: number;
    readonly column: number;
    /** Printable ASCII, at most 255 bytes. */
    readonly text: Uint8Array;
  }
  | { readonly kind: "communication"; readonly address: number; readonly baudRate: number }
  /** A new key of the secure channel, 16 bytes; only ever sent in it. */
  | { readonly kind: "keySet"; readonly key: Uint8Array }
  /** CHLNG: the controller's random number, 8 bytes. */
  | { readonly kind: "challenge"; readonly random: Uint8Array }
  /** SCRYPT: the controller's proof, 16 bytes. */
  | { readonly kind: "cryptogram"; readonly cryptogram: Uint8Array }
  /** ACURXSIZE: the longest frame that the controller takes. */
  | { readonly kind: "receiveSize"; readonly bytes: number }
  | {
    /** FILETRANSFER: one part of a file; an empty one asks how the reader gets on. */
    readonly kind: "file";
    /** 1 is a file that this very reader understands; 128 and up are the manufacturer's. */
    readonly type: number;
    /** Of the whole file, in bytes. */
    readonly size: number;
    readonly offset: number;
    readonly part: Uint8Array;
  }
  /** ABORT: ends what takes long, such as a file transfer. */
  | { readonly kind: "abort" };

/** Code and data of a command or reply. */
export interface Message {
  readonly id: number;
  readonly data: Uint8Array;
}

/** A message whose length or fields do not fit its code. */
export class OsdpCodecError extends Error {
  /** `length` or `value` of a known code, or an `unknown` code. */
  readonly kind: "length" | "value" | "unknown";

  /** Makes an error of `kind`. */
  constructor(kind: "length" | "value" | "unknown", message: string) {
    super(message);
    this.name = "OsdpCodecError";
    this.kind = kind;
  }
}

const NO_DATA = new Uint8Array();
/** The only kind of key that KEYSET knows: the secure channel's base key. */
const KEY_TYPE_BASE = 1;

/** Lays out a command. @throws {@link OsdpCodecError} `value` when a field does not fit. */
export function encodeCommand(command: Command): Message {
  const id = COMMAND[command.kind];
  switch (command.kind) {
    case "poll":
    case "localStatus":
    case "inputStatus":
    case "outputStatus":
    case "readerStatus":
    case "abort":
      return { id, data: NO_DATA };
    case "id":
    case "capabilities":
      return { id, data: octets(0) };
    case "output":
      return {
        id,
        data: octets(
          ...command.controls.flatMap((c) => [c.output, c.control, ...u16(c.timer100Ms)]),
        ),
      };
    case "led":
      return { id, data: octets(...command.leds.flatMap(ledBytes)) };
    case "buzzer": {
      const { reader, tone, on100Ms, off100Ms, count } = command;
      return { id, data: octets(reader, tone, on100Ms, off100Ms, count) };
    }
    case "text": {
      const { reader, mode, timerS, row, column, text } = command;
      return { id, data: octets(reader, mode, timerS, row, column, text.length, ...text) };
    }
    case "communication": {
      const { address, baudRate } = command;
      return { id, data: octets(address, ...u32(baudRate)) };
    }
    case "receiveSize":
      return { id, data: octets(...u16(command.bytes)) };
    case "file": {
      const { type, size, offset, part } = command;
      const head = octets(type, ...u32(size), ...u32(offset), ...u16(part.length));
      const data = new Uint8Array(head.length + part.length);
      data.set(head);
      data.set(part, head.length);
      return { id, data };
    }
    case "keySet":
      return { id, data: octets(KEY_TYPE_BASE, command.key.length, ...command.key) };
    case "challenge":
      return { id, data: command.random };
    case "cryptogram":
      return { id, data: command.cryptogram };
    default:
      return command satisfies never;
  }
}

/** Reads a command, as a bus monitor does. @throws {@link OsdpCodecError}. */
export function decodeCommand({ id, data }: Message): Command {
  switch (id) {
    case COMMAND.poll:
      return exactly(data, 0, { kind: "poll" });
    case COMMAND.localStatus:
      return exactly(data, 0, { kind: "localStatus" });
    case COMMAND.inputStatus:
      return exactly(data, 0, { kind: "inputStatus" });
    case COMMAND.outputStatus:
      return exactly(data, 0, { kind: "outputStatus" });
    case COMMAND.readerStatus:
      return exactly(data, 0, { kind: "readerStatus" });
    case COMMAND.id:
      return exactly(data, 1, { kind: "id" });
    case COMMAND.capabilities:
      return exactly(data, 1, { kind: "capabilities" });
    case COMMAND.output:
      return {
        kind: "output",
        controls: records(data, 4).map((r) => ({
          output: r[0]!,
          control: r[1]!,
          timer100Ms: r[2]! | (r[3]! << 8),
        })),
      };
    case COMMAND.led:
      return { kind: "led", leds: records(data, 14).map(ledOf) };
    case COMMAND.buzzer:
      return exactly(data, 5, {
        kind: "buzzer",
        reader: data[0]!,
        tone: data[1]!,
        on100Ms: data[2]!,
        off100Ms: data[3]!,
        count: data[4]!,
      });
    case COMMAND.text:
      if (data.length < 6) throw wrongLength(id, data, "6 bytes or more");
      return exactly(data, 6 + data[5]!, {
        kind: "text",
        reader: data[0]!,
        mode: data[1]!,
        timerS: data[2]!,
        row: data[3]!,
        column: data[4]!,
        text: data.slice(6),
      });
    case COMMAND.communication:
      return exactly(data, 5, {
        kind: "communication",
        address: data[0]!,
        baudRate: u32At(data, 1),
      });
    case COMMAND.keySet:
      if (data.length < 2) throw wrongLength(id, data, "2 bytes or more");
      if (data[0] !== KEY_TYPE_BASE) throw new OsdpCodecError("value", `key of type ${data[0]}`);
      return exactly(data, 2 + data[1]!, { kind: "keySet", key: data.slice(2) });
    case COMMAND.receiveSize:
      return exactly(data, 2, { kind: "receiveSize", bytes: data[0]! | (data[1]! << 8) });
    case COMMAND.file:
      if (data.length < 11) throw wrongLength(id, data, "11 bytes or more");
      return exactly(data, 11 + (data[9]! | (data[10]! << 8)), {
        kind: "file",
        type: data[0]!,
        size: u32At(data, 1),
        offset: u32At(data, 5),
        part: data.slice(11),
      });
    case COMMAND.abort:
      return exactly(data, 0, { kind: "abort" });
    case COMMAND.challenge:
      return exactly(data, 8, { kind: "challenge", random: data });
    case COMMAND.cryptogram:
      return exactly(data, 16, { kind: "cryptogram", cryptogram: data });
    default:
      throw new OsdpCodecError("unknown", `command ${hex(id)}`);
  }
}

/** Bytes, each checked to be one. */
export function octets(...values: number[]): Uint8Array {
  for (const value of values) {
    if (!Number.isInteger(value) || value < 0 || value > 0xff) {
      throw new OsdpCodecError("value", `field ${value}: expected 0 to 255`);
    }
  }
  return Uint8Array.from(values);
}

/** The two bytes of `value`, low byte first; a value that does not fit fails in {@link octets}. */
export function u16(value: number): [number, number] {
  return [value % 256, (value - value % 256) / 256];
}

/** The four bytes of `value`, low byte first. @throws {@link OsdpCodecError} `value`. */
export function u32(value: number): [number, number, number, number] {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
    throw new OsdpCodecError("value", `field ${value}: expected 32 bits`);
  }
  return [...u16(value & 0xffff), ...u16(value >>> 16)];
}

/** 32 bits at `at`, low byte first; the caller has checked the length. */
export function u32At(data: Uint8Array, at: number): number {
  return (data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24)) >>> 0;
}

/** The error for data of a wrong length. */
export function wrongLength(id: number, data: Uint8Array, expected: string): OsdpCodecError {
  return new OsdpCodecError("length", `${hex(id)} with ${data.length} bytes: expected ${expected}`);
}

/** Splits data into records of `size`, at least one. */
export function records(data: Uint8Array, size: number): Uint8Array[] {
  if (data.length === 0 || data.length % size !== 0) {
    throw new OsdpCodecError("length", `${data.length} bytes: expected records of ${size}`);
  }
  return Array.from(
    { length: data.length / size },
    (_, i) => data.slice(i * size, (i + 1) * size),
  );
}

function hex(id: number): string {
  return `0x${id.toString(16).padStart(2, "0")}`;
}

function exactly<T>(data: Uint8Array, length: number, value: T): T {
  if (data.length !== length) {
    throw new OsdpCodecError("length", `${data.length} bytes of data: expected ${length}`);
  }
  return value;
}

const DARK: LedPattern = { on100Ms: 0, off100Ms: 0, onColour: 0, offColour: 0 };

function ledBytes({ reader, led, temporary, permanent }: LedControl): number[] {
  const pattern = ({ on100Ms, off100Ms, onColour, offColour }: LedPattern) => [
    on100Ms,
    off100Ms,
    onColour,
    offColour,
  ];
  return [
    reader,
    led,
    temporary === undefined ? 0 : 2,
    ...pattern(temporary ?? DARK),
    ...u16(temporary?.timer100Ms ?? 0),
    permanent === undefined ? 0 : 1,
    ...pattern(permanent ?? DARK),
  ];
}

function ledOf(r: Uint8Array): LedControl {
  const pattern = (at: number): LedPattern => ({
    on100Ms: r[at]!,
    off100Ms: r[at + 1]!,
    onColour: r[at + 2]!,
    offColour: r[at + 3]!,
  });
  return {
    reader: r[0]!,
    led: r[1]!,
    ...(r[2] === 2 ? { temporary: { ...pattern(3), timer100Ms: r[7]! | (r[8]! << 8) } } : {}),
    ...(r[9] === 1 ? { permanent: pattern(10) } : {}),
  };
}
