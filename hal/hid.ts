/** What a HID device says of itself (USB HID 1.11 §7; Bluetooth devices say the same by their profile). */
export interface HidIdentity {
  /** System path, such as `/dev/hidraw0`; changes from plug to plug. */
  readonly path: string;
  /** USB vendor id, 0 to 65535. */
  readonly vendorId: number;
  /** USB product id, 0 to 65535. */
  readonly productId: number;
  /** Serial number as the device tells it; many cheap readers have none. */
  readonly serialNumber?: string;
  readonly manufacturer?: string;
  readonly product?: string;
  /** USB interface number, from 0; -1 where the system does not know. */
  readonly interfaceNumber: number;
  /** HID usage page of the first top-level collection, such as 1 (generic desktop). */
  readonly usagePage: number;
  /** HID usage of the first top-level collection, such as 6 (keyboard) on page 1. */
  readonly usage: number;
}

/** Which device is meant, by what survives a reboot, and how it is opened. */
export interface HidSettings {
  readonly vendorId: number;
  readonly productId: number;
  /** Tells apart several of one model; without it the first that is free is taken. */
  readonly serialNumber?: string;
  /** USB interface number where the device has several. */
  readonly interfaceNumber?: number;
  /** What its first top-level collection must be, such as page 1, usage 6 for a keyboard: tells the interfaces of one device apart. */
  readonly usagePage?: number;
  readonly usage?: number;
  /** Takes the device away from the console and every other program, so that a card typed by a keyboard reader appears nowhere. */
  readonly exclusive: boolean;
}

/** One input report. */
export interface HidReport {
  /** At least one byte: the report id first where the device numbers its reports. */
  readonly bytes: Uint8Array;
  /** {@link import("./clock.ts").Clock.monotonicMs} when it arrived. */
  readonly receivedMonotonicMs: number;
}

/** An open HID device. Disposal is idempotent. */
export interface HidDevice extends AsyncDisposable {
  readonly identity: HidIdentity;
  /**
   * Waits for an input report. At most 256 unread ones are held; then the oldest go and the next
   * read throws `io` once, so that a loss is never silent.
   *
   * @throws {@link import("./error.ts").HalError} `disconnected` when it is unplugged or disposed;
   * the signal's reason when aborted (no report is lost).
   */
  read(signal: AbortSignal): Promise<HidReport>;
  /** Sends an output report, its id (or 0) first. @throws `HalError` `disconnected`, `io`. */
  write(bytes: Uint8Array, signal: AbortSignal): Promise<void>;
}

/** The HID devices of a machine. */
export interface HidHost {
  /** All that are plugged in. */
  list(signal: AbortSignal): Promise<readonly HidIdentity[]>;
  /** Opens the device that `settings` mean. @throws `HalError` `not-found`, `permission`, `busy`. */
  open(settings: HidSettings, signal: AbortSignal): Promise<HidDevice>;
}
