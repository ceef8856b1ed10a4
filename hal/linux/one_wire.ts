import type { Clock } from "../clock.ts";
import { crc8 } from "../crc8.ts";
import { HalError } from "../error.ts";
import type { OneWireHost } from "../one_wire.ts";
import { readAttribute, readSlowAttribute, writeSlowAttribute } from "./sysfs.ts";

/** Where a test looks instead of at the machine. */
export interface LinuxOneWireOptions {
  /** Default `/sys`. */
  readonly sys?: string;
}

/** A search of a bus with one device takes some 20 ms, with a dozen 200. */
const SEARCH_MS_MAX = 1_000;
const LOOK_MS = 5;

/**
 * The 1-Wire buses of this machine's kernel (`Documentation/w1/w1-generic.rst`). Each search is asked
 * for by writing `w1_master_search`; where this process may not, the kernel searches at its own pace,
 * which `options wire timeout_us=…` sets, and what it found last is told.
 */
export function linuxOneWireHost(clock: Clock, options: LinuxOneWireOptions = {}): OneWireHost {
  const sys = options.sys ?? "/sys";
  return {
    search: (bus, signal) => search(bus, sys, clock, signal),
    temperature: (rom, signal) => temperature(rom, sys, signal),
  };
}

/** `temperature` of the kernel's `w1_therm` (5.9 and later; `Documentation/w1/slaves/w1_therm.rst`). */
async function temperature(rom: string, sys: string, signal: AbortSignal): Promise<number> {
  signal.throwIfAborted();
  if (!/^[0-9a-f]{16}$/.test(rom)) {
    throw new HalError("invalid", `1-Wire device ${rom}: expected a ROM code of 16 hex digits`);
  }
  const name = `${rom.slice(14)}-${rom.slice(2, 14)}`;
  const path = `${sys}/bus/w1/devices/${name}/temperature`;
  const text = await readSlowAttribute(path);
  signal.throwIfAborted();
  // Empty when the device did not answer, or its answer did not check.
  if (!/^-?\d{1,6}$/.test(text)) {
    throw new HalError("io", `1-Wire thermometer ${name}: no answer that checks; check its wires`);
  }
  return Number(text) / 1_000;
}

async function search(
  bus: string,
  sys: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly string[]> {
  signal.throwIfAborted();
  if (!/^w1_bus_master\d{1,3}$/.test(bus)) {
    throw new HalError("invalid", `1-Wire bus ${bus}: expected a name such as w1_bus_master1`);
  }
  const folder = `${sys}/bus/w1/devices/${bus}`;
  try {
    // The folder is looked at first: a bus that is gone is no matter of rights.
    readAttribute(`${folder}/w1_master_name`);
  } catch (cause) {
    if (!(cause instanceof HalError) || cause.kind !== "not-found") throw cause;
    throw new HalError(
      "not-found",
      `1-Wire bus ${bus} is not there; is the overlay (w1-gpio) or the adapter's module loaded?`,
      { cause },
    );
  }
  await askForSearch(`${folder}/w1_master_search`, clock, signal);
  return parseSlaves(await readSlowAttribute(`${folder}/w1_master_slaves`));
}

async function askForSearch(path: string, clock: Clock, signal: AbortSignal): Promise<void> {
  try {
    await writeSlowAttribute(path, "1");
  } catch (error) {
    if (error instanceof HalError && ["permission", "not-found"].includes(error.kind)) return;
    throw error;
  }
  // It counts down to 0 when the search is over; reading it waits for one that runs.
  const untilMs = clock.monotonicMs() + SEARCH_MS_MAX;
  while (await readSlowAttribute(path) !== "0") {
    if (clock.monotonicMs() >= untilMs) {
      throw new HalError("timeout", `${path}: the kernel does not search; is its w1 thread stuck?`);
    }
    await clock.sleep(LOOK_MS, signal);
  }
}

/**
 * Reads `w1_master_slaves`: a line a device, family and serial number as `01-0000169b7c3f`. The kernel
 * has checked each CRC, and does not tell it.
 *
 * @returns ROM codes as {@link OneWireHost.search} has them.
 */
export function parseSlaves(text: string): string[] {
  return text.split("\n").flatMap((line) => {
    const [, family, serial] = /^([0-9a-f]{2})-([0-9a-f]{12})$/.exec(line.trim()) ?? [];
    // A bus without its pull-up resistor reads as devices of family 0.
    if (family === undefined || serial === undefined || family === "00") return [];
    const low = Uint8Array.fromHex(serial + family).reverse();
    return [crc8(low).toString(16).padStart(2, "0") + serial + family];
  });
}
