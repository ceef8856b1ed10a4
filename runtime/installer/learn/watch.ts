/**
 * Everything that is watched at once: serial ports as they come and go, USB readers, GPIO lines.
 *
 * @module
 */
import type { DeviceHost } from "../../../drivers/contract.ts";
import type { DeviceInventory, HidIdentity, SerialHost } from "../../../hal/mod.ts";
import type { AnyDriver } from "../../config/mod.ts";
import type { ReaderFinder } from "../doctor/bus_trial.ts";
import { text } from "../language.ts";
import { type PulseReader, watchGpioLines } from "./gpio_watch.ts";
import { watchHid } from "./hid_watch.ts";
import { watchSerialPort } from "./serial_watch.ts";
import { portPath, type Sighting } from "./sighting.ts";

/** What hardware is learned with. */
export interface LearnHosts {
  /** Clock, GPIO, HID and the rest as drivers get them. */
  readonly device: DeviceHost;
  readonly serial: SerialHost;
  readonly inventory: DeviceInventory;
  readonly finders: Readonly<Record<string, ReaderFinder>>;
  readonly drivers: readonly AnyDriver[];
  readonly readPulses: PulseReader;
}

/** What an installer has agreed to have watched. */
export interface WatchPlan {
  /** Serial ports that are left alone, by their paths. */
  readonly leaveAlone: ReadonlySet<string>;
  readonly hid: readonly HidIdentity[];
  readonly gpio: readonly { readonly chip: string; readonly lines: readonly number[] }[];
}

/** Watches until `signal` aborts. Never rejects for anything that a device does. */
export async function watchAll(
  hosts: LearnHosts,
  plan: WatchPlan,
  tell: (sighting: Sighting) => void,
  signal: AbortSignal,
): Promise<void> {
  const { device, serial, finders, drivers } = hosts;
  const ports = new Map<string, { readonly stop: AbortController; readonly over: Promise<void> }>();
  const serialHost = { clock: device.clock, serial, finders, drivers };
  const follow = (path: string) => {
    if (plan.leaveAlone.has(path) || ports.has(path)) return;
    const stop = new AbortController();
    const until = AbortSignal.any([stop.signal, signal]);
    ports.set(path, { stop, over: watchSerialPort(path, serialHost, tell, until) });
  };
  const portsComeAndGo = async () => {
    // Watched from before the listing on, so that nothing falls between the two.
    const changes = hosts.inventory.watch(signal);
    for (const one of await hosts.inventory.list(signal)) {
      if (one.kind === "serial") follow(portPath(one));
    }
    for await (const { change, device: found } of changes) {
      const path = portPath(found);
      if (found.kind !== "serial" || plan.leaveAlone.has(path)) continue;
      const { description } = found;
      const came = change === "attached";
      tell({
        kind: "note",
        note: came
          ? text(`${path} 已插上（${description}）`, `${path} was plugged in (${description})`)
          : text(`${path} 已拔下`, `${path} was unplugged`),
      });
      if (came) {
        follow(path);
        continue;
      }
      const port = ports.get(path);
      ports.delete(path);
      port?.stop.abort();
      await port?.over;
    }
  };
  const ended = (error: unknown) => {
    if (!signal.aborted) throw error;
  };
  await Promise.all([
    portsComeAndGo().catch(ended),
    ...plan.hid.map((one) => watchHid(one, drivers, device, tell, signal).catch(ended)),
    ...plan.gpio.map(({ chip, lines }) =>
      watchGpioLines(
        chip,
        lines,
        { clock: device.clock, gpio: device.gpio, readPulses: hosts.readPulses },
        tell,
        signal,
      ).catch(ended)
    ),
  ]);
  await Promise.all([...ports.values()].map((port) => port.over));
}
