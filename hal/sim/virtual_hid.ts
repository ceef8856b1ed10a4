import type { Clock } from "../clock.ts";
import { HalError } from "../error.ts";
import type { HidDevice, HidHost, HidIdentity, HidReport, HidSettings } from "../hid.ts";
import { ReportQueue } from "../report_queue.ts";

/** How a simulated HID device presents itself; what is left out is as in a cheap keyboard reader. */
export type VirtualHidIdentity =
  & Pick<HidIdentity, "vendorId" | "productId">
  & Partial<HidIdentity>;

/** A device that is plugged in. */
export interface VirtualHidDevice {
  readonly identity: HidIdentity;
  /** Whether the box has it open, and whether it took it away from the console. */
  readonly held: "no" | "shared" | "exclusive";
  /** What the box wrote, in order. */
  readonly written: readonly Uint8Array[];
  /** Sends an input report; without anybody who has it open it is lost, as with the kernel. */
  report(bytes: Uint8Array): void;
  /** Pulls it: whoever has it open is disconnected. */
  unplug(): void;
}

/** Told of each report that the box sends. */
export type HidWriteListener = (identity: HidIdentity, bytes: Uint8Array) => void;

/** Reports that the box wrote and that a test may look at. */
const WRITTEN_MAX = 1_024;

/**
 * HID devices that are not there.
 *
 * ```ts
 * const hid = new VirtualHid(clock);
 * const reader = hid.plug({ vendorId: 0xffff, productId: 0x0035 });
 * reader.report(Uint8Array.of(0, 0, 0x1e, 0, 0, 0, 0, 0));
 * ```
 */
export class VirtualHid implements HidHost {
  readonly #clock: Clock;
  readonly #plugged = new Map<string, PluggedHid>();
  readonly #onWrite: HidWriteListener;
  #count = 0;
  /** Makes each further open fail so, until it is `undefined` again. */
  refusal: HalError | undefined;

  /** Stamps reports by `clock`. */
  constructor(clock: Clock, onWrite: HidWriteListener = () => {}) {
    this.#clock = clock;
    this.#onWrite = onWrite;
  }

  /** Plugs a device in. Without a path it gets a new one, as from the kernel; one at the same path is pulled. */
  plug(identity: VirtualHidIdentity): VirtualHidDevice {
    const path = identity.path ?? `/dev/hidraw${this.#count++}`;
    this.unplug(path);
    const device = new PluggedHid(
      { interfaceNumber: 0, usagePage: 1, usage: 6, ...identity, path },
      this.#clock,
      this.#onWrite,
      () => this.#plugged.delete(path),
    );
    this.#plugged.set(path, device);
    return device;
  }

  /** Pulls the device at `path`, if there is one. */
  unplug(path: string): void {
    this.#plugged.get(path)?.unplug();
  }

  /** Sends an input report of the device at `path`. */
  report(path: string, bytes: Uint8Array): void {
    this.#plugged.get(path)?.report(bytes);
  }

  /** See {@link HidHost.list}. */
  list(signal: AbortSignal): Promise<readonly HidIdentity[]> {
    return new Promise((resolve) => {
      signal.throwIfAborted();
      resolve([...this.#plugged.values()].map(({ identity }) => identity));
    });
  }

  /** See {@link HidHost.open}. */
  open(settings: HidSettings, signal: AbortSignal): Promise<HidDevice> {
    return new Promise((resolve) => {
      signal.throwIfAborted();
      if (this.refusal !== undefined) throw this.refusal;
      const { exclusive, ...wanted } = settings;
      const meant = [...this.#plugged.values()].filter(({ identity }) =>
        Object.entries(wanted).every(([key, value]) =>
          value === undefined || identity[key as keyof HidIdentity] === value
        )
      );
      const free = meant.find(({ held }) => held === "no");
      if (free !== undefined) return resolve(free.open(exclusive));
      const name = `HID device ${settings.vendorId}:${settings.productId}`;
      throw meant.length > 0
        ? new HalError("busy", `${name}: it is held`)
        : new HalError("not-found", `${name} is not plugged in`);
    });
  }
}

class PluggedHid implements VirtualHidDevice {
  readonly identity: HidIdentity;
  readonly written: Uint8Array[] = [];
  readonly #clock: Clock;
  readonly #onWrite: HidWriteListener;
  readonly #onUnplug: () => void;
  #held: VirtualHidDevice["held"] = "no";
  #queue: ReportQueue | undefined;

  constructor(
    identity: HidIdentity,
    clock: Clock,
    onWrite: HidWriteListener,
    onUnplug: () => void,
  ) {
    this.identity = identity;
    this.#clock = clock;
    this.#onWrite = onWrite;
    this.#onUnplug = onUnplug;
  }

  get held(): VirtualHidDevice["held"] {
    return this.#held;
  }

  report(bytes: Uint8Array): void {
    this.#queue?.push({ bytes: bytes.slice(), receivedMonotonicMs: this.#clock.monotonicMs() });
  }

  unplug(): void {
    this.#onUnplug();
    this.#queue?.end("it was unplugged");
    this.#release();
  }

  open(exclusive: boolean): HidDevice {
    const queue = new ReportQueue(this.identity.path);
    this.#queue = queue;
    this.#held = exclusive ? "exclusive" : "shared";
    return {
      identity: this.identity,
      read: (signal): Promise<HidReport> => queue.read(signal),
      write: (bytes, signal) =>
        new Promise((resolve) => {
          signal.throwIfAborted();
          if (queue.gone !== undefined) throw queue.gone;
          this.#onWrite(this.identity, bytes.slice());
          if (this.written.push(bytes.slice()) > WRITTEN_MAX) this.written.shift();
          resolve();
        }),
      [Symbol.asyncDispose]: () => {
        queue.end("it is closed");
        queue.clear();
        if (this.#queue === queue) this.#release();
        return Promise.resolve();
      },
    };
  }

  #release(): void {
    this.#queue = undefined;
    this.#held = "no";
  }
}
