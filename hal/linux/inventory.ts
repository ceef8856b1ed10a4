import { join } from "node:path";
import type { Clock } from "../clock.ts";
import type { DeviceChange, DeviceInventory, FoundDevice, FoundKind } from "../inventory.ts";
import { chipLabel } from "./gpio.ts";
import { cPath, realPath } from "./libc.ts";
import { listFolder, readAttribute } from "./sysfs.ts";
import { UeventSocket } from "./uevents.ts";

/** Looked at again this often where the kernel tells of changes, and where it does not. */
const LIST_MS_TOLD = 5_000;
const LIST_MS_UNTOLD = 1_000;
/** A device's parts come one by one; udev's links last. */
const SETTLE_MS = 100;
/** Then a link that udev has not made is not waited for. */
const LINK_MS_MAX = 2_000;
/** More of a kind than any box has; what is beyond is not listed. */
const DEVICES_A_KIND_MAX = 128;
/** Levels of `/sys/devices` between a port and its USB device, hubs included. */
const PARENTS_MAX = 16;
const DESCRIPTION_CHARACTERS_MAX = 100;
const STABLE_CHARACTERS_MAX = 200;

/** Where a machine's devices are looked for. */
export interface InventoryOptions {
  readonly clock: Clock;
  /** Stands for `/`; tests give a folder with `sys` and `dev` in it. */
  readonly root?: string;
  /** Whether the kernel's events are listened to; without them it is looked once a second. Default `true`. */
  readonly events?: boolean;
}

/** How devices of one kind are found: their folder in `/sys`, and what is a device among its names. */
interface Source {
  readonly kind: FoundKind;
  readonly folder: string;
  readonly subsystem: string;
  readonly names: RegExp;
}

const SOURCES: readonly Source[] = [
  // Virtual consoles are no serial ports; they have no `device` either, but there are 64 of them.
  { kind: "serial", folder: "class/tty", subsystem: "tty", names: /^tty[A-Z]/ },
  { kind: "gpio-chip", folder: "bus/gpio/devices", subsystem: "gpio", names: /^gpiochip\d+$/ },
  { kind: "hid", folder: "class/hidraw", subsystem: "hidraw", names: /^hidraw\d+$/ },
  { kind: "camera", folder: "class/video4linux", subsystem: "video4linux", names: /^video\d+$/ },
  { kind: "one-wire", folder: "bus/w1/devices", subsystem: "w1", names: /^w1_bus_master\d+$/ },
  { kind: "iio", folder: "bus/iio/devices", subsystem: "iio", names: /^iio:device\d+$/ },
  { kind: "watchdog", folder: "class/watchdog", subsystem: "watchdog", names: /^watchdog\d+$/ },
  { kind: "rtc", folder: "class/rtc", subsystem: "rtc", names: /^rtc\d+$/ },
];
const SUBSYSTEMS: ReadonlySet<string> = new Set(SOURCES.map((source) => source.subsystem));

/** A device, and what tells it from another one that sits at its path later. */
interface Found {
  readonly device: FoundDevice;
  readonly identity: string;
  /** Names it where its stable name names another as well. */
  readonly fallback: string;
  /** Whether its link of `/dev/serial/by-id` may still come. */
  readonly unlinked: boolean;
}

/** What is plugged into this machine, by `/sys` and `/dev` (sysfs(5), udev(7)). */
export function linuxInventory(options: InventoryOptions): DeviceInventory {
  // With links followed, as the places of devices are.
  const root = nullOn(() => realPath(cPath(options.root ?? "/"))) ?? "/";
  return {
    list: (signal) =>
      new Promise((resolve) => {
        signal.throwIfAborted();
        resolve(listAll(root).map(({ device }) => device));
      }),
    watch: (signal) => {
      // From the call on, not from the first step of the loop.
      const known = byIdentity(signal.aborted ? [] : listAll(root));
      return follow(known, root, options, signal);
    },
  };
}

async function* follow(
  known: Map<string, Found>,
  root: string,
  { clock, events = true }: InventoryOptions,
  signal: AbortSignal,
): AsyncGenerator<DeviceChange, void, undefined> {
  const udev = nullOn(() => realPath(cPath(join(root, "run/udev/control")))) !== undefined;
  /** New ones whose link is waited for, and until when. */
  const waiting = new Map<string, number>();
  const socket = events ? openSocket() : undefined;
  try {
    while (!signal.aborted) {
      const pauseMs = waiting.size > 0
        ? SETTLE_MS
        : socket === undefined
        ? LIST_MS_UNTOLD
        : LIST_MS_TOLD;
      if (socket === undefined) await clock.sleep(pauseMs, signal).catch(() => {});
      else if (await socket.wait(SUBSYSTEMS, pauseMs, signal)) {
        await clock.sleep(SETTLE_MS, signal).catch(() => {});
      }
      if (signal.aborted) return;
      const now = byIdentity(listAll(root));
      for (const [identity, { device }] of known) {
        if (now.has(identity)) continue;
        known.delete(identity);
        yield { change: "detached", device };
      }
      const nowMs = clock.monotonicMs();
      for (const identity of waiting.keys()) if (!now.has(identity)) waiting.delete(identity);
      for (const [identity, found] of now) {
        if (known.has(identity)) continue;
        if (udev && found.unlinked) {
          const untilMs = waiting.get(identity) ?? nowMs + LINK_MS_MAX;
          waiting.set(identity, untilMs);
          if (nowMs < untilMs) continue;
        }
        waiting.delete(identity);
        known.set(identity, found);
        yield { change: "attached", device: found.device };
      }
    }
  } finally {
    socket?.close();
  }
}

function openSocket(): UeventSocket | undefined {
  // A container's kernel says no; there it is looked more often.
  return nullOn(() => new UeventSocket());
}

function byIdentity(found: readonly Found[]): Map<string, Found> {
  return new Map(found.map((one) => [one.identity, one]));
}

function listAll(root: string): Found[] {
  const links = serialLinks(root);
  return SOURCES.flatMap((source) => {
    const folder = join(root, "sys", source.folder);
    const names = nullOn(() => listFolder(folder)) ?? [];
    const found = names.filter((name) => source.names.test(name)).slice(0, DEVICES_A_KIND_MAX)
      .flatMap((name) => look(source, join(folder, name), name, root, links) ?? []);
    // Cheap adapters all have one serial number, and chips one label: what names two names none.
    const twice = (stable: string) =>
      found.filter(({ device }) => device.stable === stable).length > 1;
    return found.map((one) =>
      twice(one.device.stable) ? { ...one, device: { ...one.device, stable: one.fallback } } : one
    );
  });
}

/** What a device is, or `undefined` when it is no device or has gone meanwhile. */
function look(
  { kind }: Source,
  path: string,
  name: string,
  root: string,
  links: ReadonlyMap<string, string>,
): Found | undefined {
  const place = nullOn(() => realPath(cPath(path)));
  if (place === undefined) return undefined;
  const attribute = (file: string) => nullOn(() => readAttribute(join(path, file)));
  const usb = usbOf(place, join(root, "sys"));
  const file = `/dev/${name}`;
  const found = (
    where: string,
    stable: string | undefined,
    description: string | undefined,
    ids: FoundDevice["usb"] = usb?.ids,
    unlinked = false,
  ): Found => ({
    identity: `${kind} ${place} ${usb?.name ?? ""}`,
    fallback: kind === "gpio-chip" ? name : where,
    unlinked,
    device: {
      kind,
      path: where,
      stable: printable(stable ?? usb?.name ?? where, STABLE_CHARACTERS_MAX),
      description: printable(description || usb?.description || name, DESCRIPTION_CHARACTERS_MAX),
      ...(ids === undefined ? {} : { usb: ids }),
    },
  });
  switch (kind) {
    case "serial": {
      if (nullOn(() => realPath(cPath(join(path, "device")))) === undefined) return undefined;
      // The PC's four ports are listed whether or not they were built in: PORT_UNKNOWN (serial_core.h).
      if (attribute("type") === "0") return undefined;
      const link = links.get(nullOn(() => realPath(cPath(join(root, file)))) ?? "");
      const unlinked = usb !== undefined && link === undefined;
      return found(file, link, usb?.description ?? driverOf(path), usb?.ids, unlinked);
    }
    case "gpio-chip": {
      const label = root === "/" ? chipLabel(name) : attribute("label");
      return found(file, label || name, label);
    }
    case "hid": {
      const hid = hidOf(attribute("device/uevent") ?? "");
      return found(file, hid?.stable, hid?.name, hid?.ids);
    }
    case "camera":
      // A camera's further nodes carry its metadata.
      if ((attribute("index") ?? "0") !== "0") return undefined;
      return found(file, undefined, attribute("name"));
    case "one-wire":
      return found(name, undefined, "1-Wire bus");
    case "iio":
      return found(name, attribute("label") || attribute("name") || name, attribute("name"));
    case "watchdog":
      return found(file, file, attribute("identity"));
    case "rtc":
      return found(file, file, attribute("name"));
    default:
      return kind satisfies never;
  }
}

/** The USB device that a part of `/sys/devices` belongs to. */
function usbOf(place: string, sys: string) {
  let part: string | undefined;
  for (let at = place, i = 0; at.length > sys.length && i < PARENTS_MAX; i++) {
    const attribute = (file: string) => nullOn(() => readAttribute(join(at, file)));
    part ??= attribute("bInterfaceNumber");
    const [vendor, product] = [attribute("idVendor"), attribute("idProduct")];
    if (vendor !== undefined && product !== undefined) {
      const vendorId = Number.parseInt(vendor, 16);
      const productId = Number.parseInt(product, 16);
      const serial = named(attribute("serial") ?? "");
      const socket = at.slice(at.lastIndexOf("/") + 1);
      const who = serial === "" ? `@${socket}` : `:${serial}`;
      return {
        name: `usb:${named(vendor)}:${named(product)}${who}${
          part === undefined ? "" : `:if${named(part)}`
        }`,
        description: [attribute("manufacturer"), attribute("product")].filter(Boolean).join(" "),
        ids: { vendorId, productId, ...(serial === "" ? {} : { serial }) },
      };
    }
    at = at.slice(0, at.lastIndexOf("/"));
  }
  return undefined;
}

/** `HID_ID=0003:0000046D:0000C31C`, bus 3 being USB, with `HID_NAME` and `HID_UNIQ` (hid-core.c). */
function hidOf(uevent: string) {
  const field = (key: string) => new RegExp(`^${key}=(.*)$`, "m").exec(uevent)?.[1];
  const ids = /^([0-9A-F]{4}):([0-9A-F]{8}):([0-9A-F]{8})$/i.exec(field("HID_ID") ?? "");
  if (ids === null) return undefined;
  const [vendorId, productId] = [Number.parseInt(ids[2]!, 16), Number.parseInt(ids[3]!, 16)];
  const serial = named(field("HID_UNIQ") ?? "");
  const hex = (id: number) => id.toString(16).padStart(4, "0");
  return {
    name: field("HID_NAME"),
    // Without a serial number it is named by its socket, as other USB devices are.
    stable: serial === "" ? undefined : `hid:${hex(vendorId)}:${hex(productId)}:${serial}`,
    ids: Number.parseInt(ids[1]!, 16) !== 3 ? undefined : {
      vendorId,
      productId,
      ...(serial === "" ? {} : { serial }),
    },
  };
}

/** udev's links by the device files that they lead to. */
function serialLinks(root: string): Map<string, string> {
  const folder = "/dev/serial/by-id";
  const links = new Map<string, string>();
  for (const name of nullOn(() => listFolder(join(root, folder))) ?? []) {
    const target = nullOn(() => realPath(cPath(join(root, folder, name))));
    if (target !== undefined) links.set(target, `${folder}/${name}`);
  }
  return links;
}

function driverOf(path: string): string | undefined {
  const driver = nullOn(() => realPath(cPath(join(path, "device/driver"))));
  return driver === undefined
    ? undefined
    : `serial port (${driver.slice(driver.lastIndexOf("/") + 1)})`;
}

/** A number or serial that a device tells, as part of a name: what is not plain becomes `_`, as with udev. */
function named(text: string): string {
  return text.slice(0, 64).replace(/[^\w.-]/g, "_");
}

/** A device's own text goes to a terminal, a log and the console. */
function printable(text: string, charactersMax: number): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "").trim().slice(0, charactersMax)
    .toWellFormed();
}

/** What `get` gives, or `undefined` when the device is gone, hidden, or not like this. */
function nullOn<T>(get: () => T): T | undefined {
  try {
    return get();
  } catch {
    return undefined;
  }
}
