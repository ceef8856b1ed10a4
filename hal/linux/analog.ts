import type { AnalogHost, AnalogLine, AnalogSettings } from "../analog.ts";
import type { Cancel, Clock } from "../clock.ts";
import { HalError } from "../error.ts";
import { listFolder, readAttribute, readSlowAttribute } from "./sysfs.ts";

/** Where a test looks instead of at the machine. */
export interface LinuxAnalogOptions {
  /** Default `/sys`. */
  readonly sys?: string;
}

/** What is measured here, a resistor at a contact or a thermistor, changes slowly. */
const SAMPLE_MS = 100;
/** Wait before a lost converter is looked for again. */
const RETRY_MS = 2_000;
/** Converters on one machine. */
const DEVICES_MAX = 64;
/** No converter in sysfs has more bits. */
const RESOLUTION_BITS_MAX = 32;
/** Bits of converters whose drivers have no buffer, and so tell no type (`drivers/iio/adc/mcp320x.c`). */
const RESOLUTION_BITS: Readonly<Record<string, number>> = {
  mcp3001: 10,
  mcp3002: 10,
  mcp3004: 10,
  mcp3008: 10,
  mcp3201: 12,
  mcp3202: 12,
  mcp3204: 12,
  mcp3208: 12,
};

/**
 * The converters of this machine's kernel, by the files of Industrial I/O
 * (`Documentation/ABI/testing/sysfs-bus-iio`). `chip` is `iio:device0`, or the converter's name or the
 * label of its overlay, which keep their meaning when another one is plugged in. The kernel's name is
 * its driver's: `ads1015` for an ADS1115 too.
 */
export function linuxAnalogHost(clock: Clock, options: LinuxAnalogOptions = {}): AnalogHost {
  const sys = options.sys ?? "/sys";
  const taken = new Set<string>();
  return {
    // As a promise in every case, as the other hosts are.
    // deno-lint-ignore require-await
    request: async (settings, signal) => {
      signal.throwIfAborted();
      const { chip, channel } = settings;
      const what = `channel ${channel} of ${chip}`;
      if (!Number.isInteger(channel) || channel < 0 || channel > 255) {
        throw new HalError("invalid", `${what}: expected a channel from 0 to 255`);
      }
      const key = `${chip}\n${channel}`;
      if (taken.has(key)) throw new HalError("busy", `${what}: another input of this box has it`);
      taken.add(key);
      try {
        const source = openChannel(sys, settings);
        return new IioLine(settings, source, sys, clock, () => taken.delete(key));
      } catch (error) {
        taken.delete(key);
        throw error;
      }
    },
  };
}

/** A channel that was found. */
interface Channel {
  /** Its `in_voltageN_raw`. */
  readonly path: string;
  /** What is measured at the reference voltage. */
  readonly fullScale: number;
}

class IioLine implements AnalogLine {
  readonly settings: AnalogSettings;
  readonly #sys: string;
  readonly #clock: Clock;
  readonly #onClose: () => void;
  readonly #listeners = new Set<(ratio: number | undefined, atMonotonicMs: number) => void>();
  readonly #closing = new AbortController();
  readonly #sampling: Promise<void>;
  #ratio: number | undefined;

  constructor(
    settings: AnalogSettings,
    channel: Channel,
    sys: string,
    clock: Clock,
    onClose: () => void,
  ) {
    this.settings = settings;
    this.#sys = sys;
    this.#clock = clock;
    this.#onClose = onClose;
    this.#sampling = this.#run(channel);
  }

  read(): number | undefined {
    return this.#ratio;
  }

  onSample(listener: (ratio: number | undefined, atMonotonicMs: number) => void): Cancel {
    const own: typeof listener = (ratio, atMs) => listener(ratio, atMs);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closing.signal.aborted) {
      this.#closing.abort();
      this.#onClose();
    }
    await this.#sampling;
  }

  async #run(first: Channel): Promise<void> {
    const { signal } = this.#closing;
    let channel: Channel | undefined = first;
    while (!signal.aborted) {
      let waitMs = SAMPLE_MS;
      try {
        channel ??= openChannel(this.#sys, this.settings);
        const raw = await readNumber(channel.path);
        this.#tell(Math.min(Math.max(raw / channel.fullScale, 0), 1));
      } catch {
        // Pulled, or no answer on its bus: looked for anew, since its number may have changed.
        channel = undefined;
        waitMs = RETRY_MS;
        if (this.#ratio !== undefined) this.#tell(undefined);
      }
      await this.#clock.sleep(waitMs, signal).catch(() => {});
    }
  }

  #tell(ratio: number | undefined): void {
    if (this.#closing.signal.aborted) return;
    this.#ratio = ratio;
    const atMs = this.#clock.monotonicMs();
    for (const listener of [...this.#listeners]) listener(ratio, atMs);
  }
}

function openChannel(sys: string, settings: AnalogSettings): Channel {
  const { chip, channel } = settings;
  const folder = findDevice(sys, chip);
  const names = new Set(listFolder(folder));
  const name = `in_voltage${channel}`;
  if (!names.has(`${name}_raw`)) {
    const there = [...names].flatMap((file) => /^in_voltage(\d+)_raw$/.exec(file)?.[1] ?? []);
    throw new HalError(
      "not-found",
      `channel ${channel} of ${chip}: its channels are ${there.join(", ") || "none"}`,
    );
  }
  return {
    path: `${folder}/${name}_raw`,
    fullScale: fullScaleOf(folder, name, names, settings),
  };
}

/** The folder of the converter `chip`, by number or name. */
function findDevice(sys: string, chip: string): string {
  const root = `${sys}/bus/iio/devices`;
  let devices: string[] = [];
  try {
    devices = listFolder(root).filter((name) => /^iio:device\d+$/.test(name));
  } catch (error) {
    if (!(error instanceof HalError) || error.kind !== "not-found") throw error;
  }
  const known: string[] = [];
  for (const device of devices.slice(0, DEVICES_MAX)) {
    if (device === chip) return `${root}/${device}`;
    const name = textOf(`${root}/${device}/name`);
    if (name === chip || textOf(`${root}/${device}/label`) === chip) return `${root}/${device}`;
    known.push(name === undefined ? device : `${device} (${name})`);
  }
  throw new HalError(
    "not-found",
    `converter ${chip} is not there; is its overlay loaded? There are: ${
      known.join(", ") || "none"
    }`,
  );
}

/** What an attribute says that not every device has. */
function textOf(path: string): string | undefined {
  try {
    return readAttribute(path);
  } catch {
    return undefined;
  }
}

/**
 * What a channel reads at the reference voltage. With `referenceMv` it is that over the channel's
 * scale, in mV a step; without, all that the converter's bits can hold.
 */
function fullScaleOf(
  folder: string,
  name: string,
  names: ReadonlySet<string>,
  { chip, channel, referenceMv }: AnalogSettings,
): number {
  if (referenceMv !== undefined) {
    const file = [`${name}_scale`, "in_voltage_scale"].find((one) => names.has(one));
    const scaleMv = file === undefined ? 0 : Number(readAttribute(`${folder}/${file}`));
    if (scaleMv > 0 && Number.isFinite(scaleMv)) return referenceMv / scaleMv;
    throw new HalError(
      "unsupported",
      `channel ${channel} of ${chip}: its driver tells no scale; leave the reference out`,
    );
  }
  const type = `${name}_type`;
  if (names.has("scan_elements") && listFolder(`${folder}/scan_elements`).includes(type)) {
    // `le:u12/16>>4`: 12 bits that count, of 16. A signed one has one of them for the sign.
    const text = readAttribute(`${folder}/scan_elements/${type}`);
    const [, sign, digits] = /^[lb]e:([us])(\d{1,2})\/\d+/.exec(text) ?? [];
    const bits = Number(digits) - (sign === "s" ? 1 : 0);
    if (bits >= 1 && bits <= RESOLUTION_BITS_MAX) return 2 ** bits - 1;
  }
  const bits = RESOLUTION_BITS[textOf(`${folder}/name`) ?? ""];
  if (bits !== undefined) return 2 ** bits - 1;
  throw new HalError(
    "unsupported",
    `channel ${channel} of ${chip}: its driver tells no resolution; give the reference in mV`,
  );
}

async function readNumber(path: string): Promise<number> {
  const text = await readSlowAttribute(path);
  const value = text === "" ? NaN : Number(text);
  if (!Number.isFinite(value)) throw new HalError("protocol", `${path}: this is no number`);
  return value;
}
