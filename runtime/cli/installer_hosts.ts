/**
 * What the installer's commands have in common: the machine's devices, the language, and whether a
 * box runs already.
 *
 * @module
 */
import { join } from "node:path";
import {
  discoverOsdp,
  OSDP_BAUD_RATES,
  type OsdpFinding,
} from "../../drivers/card-reader/osdp/mod.ts";
import {
  linuxClock,
  linuxGpioHost,
  linuxHosts,
  linuxInventory,
  linuxSerialHost,
} from "../../hal/linux/mod.ts";
import { VirtualGpio } from "../../hal/sim/mod.ts";
import type { Clock, DeviceInventory, SerialHost } from "../../hal/mod.ts";
import {
  type Language,
  languageOf,
  LANGUAGES,
  type LineFinding,
  parseHealth,
  type ReaderFinder,
  type RunningBox,
} from "../installer/mod.ts";
import { jsonLog } from "../log.ts";
import type { DeviceHosts } from "./devices.ts";
import { SimulatedBuses } from "./simulated_buses.ts";
import { UsageError } from "./usage.ts";

/** The language that `--lang` names, or that the terminal is set to. @throws UsageError */
export function languageArg(lang: string | undefined): Language {
  if (lang !== undefined && !(LANGUAGES as readonly string[]).includes(lang)) {
    throw new UsageError(`--lang is one of ${LANGUAGES.join(", ")}`);
  }
  return languageOf(lang ?? Deno.env.get("LC_ALL") ?? Deno.env.get("LANG"));
}

/** The hosts of this machine, and the simulated buses among them; disposal ends those. */
export interface InstallerHosts extends AsyncDisposable {
  readonly clock: Clock;
  readonly devices: DeviceHosts;
  readonly inventory: DeviceInventory;
}

/** `root` stands for `/` where device files are looked for. */
export function installerHosts(root = "/"): InstallerHosts {
  const clock = linuxClock();
  const simulators = new SimulatedBuses(clock);
  const serial = linuxSerialHost(clock);
  const rooted: SerialHost = {
    open: (settings, signal) =>
      serial.open({ ...settings, path: join(root, settings.path) }, signal),
  };
  return {
    clock,
    inventory: linuxInventory({ clock, root }),
    devices: {
      clock,
      // What a driver has to say shows in what it reports; a log would tear the screen.
      log: jsonLog(clock, () => {}, "error"),
      serial: root === "/" ? serial : rooted,
      ...linuxHosts(clock),
      gpio: linuxGpioHost(clock),
      simulatedGpio: new VirtualGpio(clock),
      simulateBus: (bus, readers) => simulators.add(bus, readers),
    },
    [Symbol.asyncDispose]: () => simulators[Symbol.asyncDispose](),
  };
}

/** Searches of a line, by the driver that they are for. */
export function readerFinders(clock: Clock): Readonly<Record<string, ReaderFinder>> {
  return {
    osdp: async (open, first, found, signal) => {
      const ahead = <T>(
        values: readonly T[],
        all: readonly T[],
      ) => [...new Set([...values, ...all])];
      await discoverOsdp(
        { clock, openPort: open },
        {
          baudRates: ahead(first.baudRates, OSDP_BAUD_RATES),
          addresses: ahead(first.addresses, Array.from({ length: 127 }, (_, address) => address)),
          onFinding: (finding) => found(lineFinding(finding)),
        },
        signal,
      );
    },
  };
}

function lineFinding(finding: OsdpFinding): LineFinding {
  if (finding.kind !== "reader") return finding;
  const { kind, baudRate, address, identity, clearText } = finding;
  const security = finding.security === "own-key"
    ? "key-needed"
    : finding.security === "default-key"
    ? "default-key"
    : "clear";
  return { kind, baudRate, address, identity, clearText, security };
}

/** A box on this machine answers at once. */
const HEALTH_MS_MAX = 1_000;
const HEALTH_BYTES_MAX = 256 << 10;

/** What the box that listens at `listen` (`HOST:PORT`) says of itself; `undefined` when none does. */
export async function runningBox(
  listen: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<RunningBox | undefined> {
  const url = `http://${
    listen.replace(/^0\.0\.0\.0:/, "127.0.0.1:").replace(/^\[::\]:/, "[::1]:")
  }`;
  const late = new AbortController();
  const cancel = clock.schedule(HEALTH_MS_MAX, () => late.abort());
  try {
    const response = await fetch(`${url}/healthz`, {
      signal: AbortSignal.any([late.signal, signal]),
      redirect: "error",
    });
    const body = await response.text();
    if (body.length > HEALTH_BYTES_MAX) return undefined;
    return parseHealth(url, JSON.parse(body));
  } catch {
    // Nobody there, or no box: then its devices are free.
    signal.throwIfAborted();
    return undefined;
  } finally {
    cancel();
  }
}
