import type { Clock } from "../clock.ts";
import { HalError } from "../error.ts";
import type { HidDevice, HidHost, HidIdentity, HidReport, HidSettings } from "../hid.ts";

/** See {@link HidDevice.read}. */
const REPORTS_MAX = 256;

/** Told of each report that the box sends. */
export type HidWriteListener = (identity: HidIdentity, bytes: Uint8Array) => void;

/**
 * USB HID devices that are not there: tests plug them, send their input reports and see what the box
 * writes.
 *
 * ```ts
 * const hid = new VirtualHid(clock);
 * hid.plug(identity);
 * hid.report(identity.path, Uint8Array.of(0, 0, 0x1e, 0, 0, 0, 0, 0));
 * ```
 */
export class VirtualHid implements HidHost {
  readonly #clock: Clock;
  readonly #plugged = new Map<string, { identity: HidIdentity; open: VirtualHidDevice[] }>();
  readonly #onWrite: HidWriteListener;

  /** Stamps reports by `clock`. */
  constructor(clock: Clock, onWrite: HidWriteListener = () => {}) {
    this.#clock = clock;
    this.#onWrite = onWrite;
  }

  /** Plugs a device in; one at the same path is replaced. */
  plug(identity: HidIdentity): void {
    this.unplug(identity.path);
    this.#plugged.set(identity.path, { identity, open: [] });
  }

  /** Pulls a device out: whoever has it open is disconnected, after what has arrived was read. */
  unplug(path: string): void {
    for (const device of this.#plugged.get(path)?.open ?? []) device.disconnect("it was unplugged");
    this.#plugged.delete(path);
  }

  /** Sends an input report to whoever has the device open. */
  report(path: string, bytes: Uint8Array): void {
    const receivedMonotonicMs = this.#clock.monotonicMs();
    for (const device of this.#plugged.get(path)?.open ?? []) {
      device.take({ bytes: bytes.slice(), receivedMonotonicMs });
    }
  }

  /** See {@link HidHost.list}. */
  list(signal: AbortSignal): Promise<readonly HidIdentity[]> {
    return new Promise((resolve) => {
      signal.throwIfAborted();
      resolve([...this.#plugged.values()].map(({ identity }) => identity));
    });
  }

  /** See {@link HidHost.open}; a device that is held exclusively is `busy`. */
  open(settings: HidSettings, signal: AbortSignal): Promise<HidDevice> {
    return new Promise((resolve) => {
      signal.throwIfAborted();
      const found = [...this.#plugged.values()].filter(({ identity }) =>
        identity.vendorId === settings.vendorId && identity.productId === settings.productId &&
        (settings.serialNumber ?? identity.serialNumber) === identity.serialNumber &&
        (settings.interfaceNumber ?? identity.interfaceNumber) === identity.interfaceNumber
      );
      if (found.length === 0) throw new HalError("not-found", "there is no such HID device");
      const free = found.find(({ open }) => !open.some((device) => device.exclusive));
      if (free === undefined) throw new HalError("busy", "HID device: another program holds it");
      const device = new VirtualHidDevice(
        free.identity,
        settings.exclusive,
        (bytes) => this.#onWrite(free.identity, bytes),
        () => void free.open.splice(free.open.indexOf(device) >>> 0, 1),
      );
      free.open.push(device);
      resolve(device);
    });
  }
}

class VirtualHidDevice implements HidDevice {
  readonly identity: HidIdentity;
  readonly exclusive: boolean;
  readonly #onWrite: (bytes: Uint8Array) => void;
  readonly #onClose: () => void;
  readonly #reports: HidReport[] = [];
  #lost = false;
  #goneBecause: string | undefined;
  #wake: (() => void) | undefined;

  constructor(
    identity: HidIdentity,
    exclusive: boolean,
    onWrite: (bytes: Uint8Array) => void,
    onClose: () => void,
  ) {
    this.identity = identity;
    this.exclusive = exclusive;
    this.#onWrite = onWrite;
    this.#onClose = onClose;
  }

  async read(signal: AbortSignal): Promise<HidReport> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#lost) {
        this.#lost = false;
        throw this.#fault("io", "reports were lost, for nobody read them");
      }
      const report = this.#reports.shift();
      if (report !== undefined) return report;
      if (this.#goneBecause !== undefined) throw this.#fault("disconnected", this.#goneBecause);
      await new Promise<void>((resolve) => {
        const wake = () => {
          signal.removeEventListener("abort", wake);
          resolve();
        };
        this.#wake = wake;
        signal.addEventListener("abort", wake);
      });
    }
  }

  write(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      signal.throwIfAborted();
      if (this.#goneBecause !== undefined) throw this.#fault("disconnected", this.#goneBecause);
      this.#onWrite(bytes.slice());
      resolve();
    });
  }

  take(report: HidReport): void {
    this.#reports.push(report);
    if (this.#reports.length > REPORTS_MAX) {
      this.#reports.shift();
      this.#lost = true;
    }
    this.#wake?.();
  }

  disconnect(because: string): void {
    this.#goneBecause ??= because;
    this.#wake?.();
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (this.#goneBecause !== "it is closed") {
      this.#reports.length = 0;
      this.#onClose();
      this.disconnect("it is closed");
    }
    return Promise.resolve();
  }

  #fault(kind: HalError["kind"], what: string): HalError {
    return new HalError(kind, `${this.identity.path}: ${what}`);
  }
}
