import type { Clock } from "../clock.ts";
import { HalError, type HalErrorKind } from "../error.ts";
import type { HidDevice, HidHost, HidIdentity, HidReport, HidSettings } from "../hid.ts";
import { ReportQueue } from "../report_queue.ts";
import { grabInputs } from "./evdev.ts";

/** As `node-hid` lists a device: once for each of its top-level collections. */
export interface ListedHid {
  readonly path?: string | undefined;
  readonly vendorId: number;
  readonly productId: number;
  readonly serialNumber?: string | undefined;
  readonly manufacturer?: string | undefined;
  readonly product?: string | undefined;
  readonly interface: number;
  readonly usagePage?: number | undefined;
  readonly usage?: number | undefined;
}

/** An open device of `node-hid`; it reads on a thread of its own. */
export interface OpenHid {
  /** Each input report. */
  on(event: "data", listener: (bytes: Uint8Array) => void): unknown;
  /** The device cannot be read any more. */
  on(event: "error", listener: (cause: unknown) => void): unknown;
  /** Sends an output report, its id or 0 first. */
  write(bytes: number[]): Promise<number>;
  /** Stops reading and closes it. */
  close(): Promise<void>;
}

/** What is used of `node-hid`. */
export interface HidLibrary {
  /** All that are plugged in. */
  devices(): Promise<readonly ListedHid[]>;
  /** Opens one; rejects with hidapi's text. */
  open(path: string): Promise<OpenHid>;
}

/** Where a test looks instead of at the machine. */
export interface LinuxHidOptions {
  /** Loads the library, once. Default: `node-hid` with its hidraw build. */
  readonly load?: () => Promise<HidLibrary>;
  /** Default `/sys`. */
  readonly sys?: string;
  /** Default `/dev`. */
  readonly dev?: string;
}

/** Descriptor strings of USB have at most 126 characters; Bluetooth names 248 bytes. */
const TEXT_CHARACTERS_MAX = 248;
/** Devices named in a message. */
const NAMED_MAX = 6;

/**
 * The HID devices of this machine by `/dev/hidraw*` (`Documentation/hid/hidraw.rst`). `node-hid` is
 * loaded when a device is first asked for; where it cannot be, every call says `unsupported`, and
 * why.
 */
export function linuxHidHost(clock: Clock, options: LinuxHidOptions = {}): HidHost {
  return new LinuxHidHost(clock, options);
}

class LinuxHidHost implements HidHost {
  readonly #clock: Clock;
  readonly #options: LinuxHidOptions;
  readonly #taken = new Set<string>();
  #library: Promise<HidLibrary> | undefined;

  constructor(clock: Clock, options: LinuxHidOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  async list(signal: AbortSignal): Promise<readonly HidIdentity[]> {
    signal.throwIfAborted();
    const listed = await (await this.#loaded()).devices();
    signal.throwIfAborted();
    const first = new Map<string, HidIdentity>();
    for (const device of listed) {
      if (device.path === undefined || first.has(device.path)) continue;
      first.set(device.path, identityOf(device, device.path));
    }
    return [...first.values()];
  }

  async open(settings: HidSettings, signal: AbortSignal): Promise<HidDevice> {
    const identity = chooseHid(await this.list(signal), settings, this.#taken);
    const { path } = identity;
    this.#taken.add(path);
    await using undo = new AsyncDisposableStack();
    undo.defer(() => void this.#taken.delete(path));
    if (settings.exclusive) {
      const { sys = "/sys", dev = "/dev" } = this.#options;
      // Before the reports: what is typed from here on reaches no console.
      undo.use(grabInputs(path.slice(path.lastIndexOf("/") + 1), sys, dev));
    }
    const handle = await (await this.#loaded()).open(path).catch((cause: unknown) => {
      throw refused(path, cause);
    });
    undo.defer(() => handle.close());
    signal.throwIfAborted();
    return new LinuxHidDevice(identity, handle, this.#clock, undo.move());
  }

  #loaded(): Promise<HidLibrary> {
    return this.#library ??= (this.#options.load ?? loadNodeHid)();
  }
}

class LinuxHidDevice implements HidDevice {
  readonly identity: HidIdentity;
  readonly #handle: OpenHid;
  readonly #owned: AsyncDisposableStack;
  readonly #queue: ReportQueue;
  #disposal: Promise<void> | undefined;

  constructor(
    identity: HidIdentity,
    handle: OpenHid,
    clock: Clock,
    owned: AsyncDisposableStack,
  ) {
    this.identity = identity;
    this.#handle = handle;
    this.#owned = owned;
    this.#queue = new ReportQueue(identity.path);
    handle.on("error", () => this.#queue.end("it was unplugged"));
    handle.on("data", (bytes) => {
      this.#queue.push({
        bytes: Uint8Array.from(bytes),
        receivedMonotonicMs: clock.monotonicMs(),
      });
    });
  }

  read(signal: AbortSignal): Promise<HidReport> {
    return this.#queue.read(signal);
  }

  async write(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#queue.gone !== undefined) throw this.#queue.gone;
    try {
      await this.#handle.write([...bytes]);
    } catch (cause) {
      throw this.#queue.gone ?? new HalError(
        "io",
        `${this.identity.path}: it does not take the report: ${textOf(cause)}`,
        { cause },
      );
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#disposal ??= (async () => {
      this.#queue.end("it is closed");
      this.#queue.clear();
      await this.#owned.disposeAsync();
    })();
  }
}

/**
 * The device of `listed` that `settings` mean and that is not in `taken`, a set of paths.
 *
 * @throws {@link HalError} `not-found`, `busy`.
 */
export function chooseHid(
  listed: readonly HidIdentity[],
  settings: HidSettings,
  taken: ReadonlySet<string>,
): HidIdentity {
  const keys = [
    "vendorId",
    "productId",
    "serialNumber",
    "interfaceNumber",
    "usagePage",
    "usage",
  ] as const;
  const meant = listed.filter((one) =>
    keys.every((key) => settings[key] === undefined || settings[key] === one[key])
  );
  const free = meant.find(({ path }) => !taken.has(path));
  if (free !== undefined) return free;
  const serial = settings.serialNumber === undefined ? "" : ` with serial ${settings.serialNumber}`;
  const name = `HID device ${ids(settings)}${serial}`;
  if (meant.length > 0) {
    throw new HalError("busy", `${name}: a reader of this box has it; give each its serialNumber`);
  }
  const others = listed.slice(0, NAMED_MAX).map((one) => `${ids(one)} ${one.product ?? ""}`.trim());
  const there = others.length === 0 ? "nothing" : others.join(", ");
  throw new HalError("not-found", `${name} is not plugged in; what is: ${there}`);
}

function ids({ vendorId, productId }: { vendorId: number; productId: number }): string {
  const hex = (id: number) => id.toString(16).padStart(4, "0");
  return `${hex(vendorId)}:${hex(productId)}`;
}

function identityOf(device: ListedHid, path: string): HidIdentity {
  const text = (value: string | undefined) => value?.slice(0, TEXT_CHARACTERS_MAX).trim() || null;
  const serialNumber = text(device.serialNumber);
  const manufacturer = text(device.manufacturer);
  const product = text(device.product);
  return {
    path,
    vendorId: device.vendorId,
    productId: device.productId,
    ...(serialNumber === null ? {} : { serialNumber }),
    ...(manufacturer === null ? {} : { manufacturer }),
    ...(product === null ? {} : { product }),
    interfaceNumber: device.interface,
    usagePage: device.usagePage ?? 0,
    usage: device.usage ?? 0,
  };
}

const KINDS: readonly (readonly [RegExp, HalErrorKind, string])[] = [
  [/No such (file|device)/, "not-found", "it was unplugged"],
  [
    /Permission denied|not permitted/,
    "permission",
    "this process may not open it; add its user to " +
    "the group of the device, by the udev rule in docs/drivers/hid-keyboard.md",
  ],
  [/busy/i, "busy", "another process holds it; stop that one and try again"],
];

/** hidapi hands out no error number, only its text. */
function refused(path: string, cause: unknown): HalError {
  const text = textOf(cause);
  const [, kind, advice] = KINDS.find(([pattern]) => pattern.test(text)) ??
    [0, "io", text] as const;
  return new HalError(kind, `open ${path}: ${advice}`, { cause });
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

async function loadNodeHid(): Promise<HidLibrary> {
  try {
    const hid = await import("node-hid");
    // The native part is loaded by the first call only.
    hid.getHidapiVersion();
    return {
      devices: () => hid.devicesAsync(),
      open: (path) => hid.HIDAsync.open(path),
    };
  } catch (cause) {
    throw new HalError(
      "unsupported",
      `HID devices cannot be used, node-hid does not load (${
        textOf(cause)
      }); it needs the Debian ` +
        "packages libudev1 and libusb-1.0-0",
      { cause },
    );
  }
}
