/**
 * What was recorded between a box and one device, on whatever it hangs on.
 *
 * @module
 */
import type { HidIdentity } from "../hid.ts";
import { TraceError } from "./serial_trace.ts";

/** One thing that happened at a device. */
export type DeviceHappening =
  | {
    /** Bytes on a serial line or a daemon's socket, or one HID report. `undefined`: whatever the box writes there. */
    readonly on: "serial" | "socket" | "hid";
    readonly bytes: readonly (number | undefined)[];
  }
  | { readonly on: "hid-plug"; readonly identity: HidIdentity }
  | { readonly on: "hid-unplug" }
  | {
    /** A line's voltage. */
    readonly on: "gpio";
    readonly chip: string;
    readonly line: number;
    readonly high: boolean;
  }
  | {
    /** A sample as a share of the reference, 0 to 1; `undefined`: the converter is lost. */
    readonly on: "analog";
    readonly chip: string;
    readonly channel: number;
    readonly ratio: number | undefined;
  }
  | {
    /** The ROM codes that a search finds from now on. */
    readonly on: "one-wire";
    readonly bus: string;
    readonly codes: readonly string[];
  }
  | {
    /** What a 1-Wire thermometer measures from now on, in °C; `undefined`: it does not answer. */
    readonly on: "one-wire-temperature";
    readonly rom: string;
    readonly celsius: number | undefined;
  };

/** One step of a recorded device. */
export interface DeviceStep {
  /** `>` the box did it, `<` the device. */
  readonly direction: ">" | "<";
  /** Time since the step before, in ms. */
  readonly afterMs: number;
  readonly what: DeviceHappening;
  /** Where it stands in the file, from 1. */
  readonly lineNumber: number;
}

/** As for serial traces: an hour of a busy line. */
const TRACE_CHARACTERS_MAX = 16 << 20;
const SERIAL_HEADER = "# gatehouse serial trace 1";
const DEVICE_HEADER = "# gatehouse device trace 1";
const STEP = /^\+(\d{1,9}(?:\.\d{1,6})?) ([<>]) (.*)$/;
const BYTES = /^(?:[0-9a-f]{2}|\?\?)(?: (?:[0-9a-f]{2}|\?\?))*$/i;
const HID_PLUG = /^([0-9a-f]{4}):([0-9a-f]{4}) (\d{1,5}):(\d{1,5}) (-?\d{1,3})(?: (\S{1,64}))?$/i;

/**
 * Reads a trace of either form: a header line, then one step a line; `#` starts a comment. A serial
 * trace (`# gatehouse serial trace 1`) has bytes alone; a device trace names what they were on.
 * `??` stands for any byte that the box writes, such as its time of day.
 *
 * ```text
 * # gatehouse device trace 1
 * +0 < gpio gpiochip0 14 1               # voltage of a line, as the device drives it
 * +5 > gpio gpiochip0 17 1               # … as the box does
 * +0 < hid-plug 08ff:0009 1:6 0 S123     # vendor:product, usage page:usage, interface, serial number
 * +8 < hid 00 00 1e 00 00 00 00 00       # one report
 * +0 < hid-unplug
 * +2 < socket 00 01                      # a local daemon's stream
 * +0 < analog iio:device0 0 0.512        # share of the reference, or `gone`
 * +9 < one-wire w1_bus_master1 6a000001a2b3c401    # what a search finds from now on; none: nothing
 * +9 < one-wire-temperature 5e0316a2791ba428 21.5    # or `gone`
 * ```
 *
 * @throws {@link TraceError} naming the line.
 */
export function parseDeviceTrace(text: string): readonly DeviceStep[] {
  if (text.length > TRACE_CHARACTERS_MAX) throw new TraceError("the trace is too long");
  const lines = text.split(/\r?\n/);
  const header = lines[0]?.trim();
  if (header !== SERIAL_HEADER && header !== DEVICE_HEADER) {
    throw new TraceError(`line 1: expected "${SERIAL_HEADER}" or "${DEVICE_HEADER}"`);
  }
  return lines.flatMap((line, index): DeviceStep[] => {
    if (line.trim() === "" || line.startsWith("#")) return [];
    const wrong = (what: string) => new TraceError(`line ${index + 1}: expected ${what}`);
    const [, after, direction, rest] = STEP.exec(line.replace(/\s+#.*$/, "").trim()) ?? [];
    if (after === undefined || rest === undefined) throw wrong('"+MS > …" or "+MS < …"');
    const what = header === SERIAL_HEADER
      ? bytesOf("serial", rest, wrong)
      : happeningOf(rest, wrong);
    const device = direction === "<";
    if (device && "bytes" in what && what.bytes.includes(undefined)) {
      throw wrong("bytes without ?? from the device");
    }
    if (!device && !["serial", "socket", "hid", "gpio"].includes(what.on)) {
      throw wrong(`"<" before ${what.on}, which only a device does`);
    }
    return [{
      direction: device ? "<" : ">",
      afterMs: Number(after),
      what,
      lineNumber: index + 1,
    }];
  });
}

type Wrong = (what: string) => TraceError;

function bytesOf(on: "serial" | "socket" | "hid", text: string, wrong: Wrong): DeviceHappening {
  if (!BYTES.test(text)) throw wrong("bytes as two hex digits each");
  return {
    on,
    bytes: text.split(" ").map((byte) => byte === "??" ? undefined : parseInt(byte, 16)),
  };
}

function happeningOf(text: string, wrong: Wrong): DeviceHappening {
  const [on, ...words] = text.split(/ +/);
  const number = (word: string | undefined) => {
    if (word === undefined || !/^\d{1,4}$/.test(word)) throw wrong("a number");
    return Number(word);
  };
  switch (on) {
    case "hid":
    case "socket":
      return bytesOf(on, words.join(" "), wrong);
    case "hid-unplug":
      return { on };
    case "hid-plug": {
      const [, vendor, product, page, usage, face, serial] = HID_PLUG.exec(words.join(" ")) ?? [];
      if (vendor === undefined) throw wrong("VVVV:PPPP PAGE:USAGE INTERFACE [SERIAL]");
      return {
        on,
        identity: {
          path: "/dev/hidraw0",
          vendorId: parseInt(vendor, 16),
          productId: parseInt(product!, 16),
          usagePage: Number(page),
          usage: Number(usage),
          interfaceNumber: Number(face),
          ...(serial === undefined ? {} : { serialNumber: serial }),
        },
      };
    }
    case "gpio": {
      const [chip, line, high] = words;
      if (chip === undefined || (high !== "0" && high !== "1")) throw wrong("CHIP LINE 0 or 1");
      return { on, chip, line: number(line), high: high === "1" };
    }
    case "analog": {
      const [chip, channel, sample] = words;
      const ratio = sample === "gone" ? undefined : Number(sample ?? Number.NaN);
      if (chip === undefined || (ratio !== undefined && !(ratio >= 0 && ratio <= 1))) {
        throw wrong("CHIP CHANNEL and 0 to 1, or gone");
      }
      return { on, chip, channel: number(channel), ratio };
    }
    case "one-wire": {
      const [bus, ...codes] = words;
      if (bus === undefined || !codes.every((code) => /^[0-9a-f]{16}$/.test(code))) {
        throw wrong("BUS and ROM codes of 16 hex digits");
      }
      return { on, bus, codes };
    }
    case "one-wire-temperature": {
      const [rom, value] = words;
      const celsius = value === "gone" ? undefined : Number(value);
      if (rom === undefined || !/^[0-9a-f]{16}$/.test(rom) || Number.isNaN(celsius ?? 0)) {
        throw wrong("a ROM code of 16 hex digits and °C or gone");
      }
      return { on, rom, celsius };
    }
    default:
      throw wrong(
        "gpio, hid, hid-plug, hid-unplug, socket, analog, one-wire or one-wire-temperature",
      );
  }
}

/** A happening as a trace writes it, for messages. */
export function textOfHappening(what: DeviceHappening): string {
  switch (what.on) {
    case "serial":
    case "socket":
    case "hid":
      return `${what.on} ${
        what.bytes.map((byte) => byte?.toString(16).padStart(2, "0") ?? "??").join(" ")
      }`;
    case "hid-plug":
    case "hid-unplug":
      return what.on;
    case "gpio":
      return `gpio ${what.chip} ${what.line} ${what.high ? 1 : 0}`;
    case "analog":
      return `analog ${what.chip} ${what.channel} ${what.ratio ?? "gone"}`;
    case "one-wire":
      return `one-wire ${[what.bus, ...what.codes].join(" ")}`;
    case "one-wire-temperature":
      return `one-wire-temperature ${what.rom} ${what.celsius ?? "gone"}`;
    default:
      return what satisfies never;
  }
}
