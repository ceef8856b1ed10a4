/** What kind of thing was found on a machine. */
export type FoundKind =
  | "serial"
  | "gpio-chip"
  | "hid"
  | "camera"
  | "one-wire"
  | "iio"
  | "watchdog"
  | "rtc";

/** One device of the machine, whether or not Gatehouse uses it. */
export interface FoundDevice {
  readonly kind: FoundKind;
  /** Where it is now: `/dev/ttyUSB0`, `/dev/gpiochip0`; without a device file its name: `w1_bus_master1`. */
  readonly path: string;
  /**
   * What names the same device after a reboot, and with a serial number in another socket:
   * `/dev/serial/by-id/…`, a chip's label, `usb:0403:6001:A50285BI:if00`. Falls back to `path`.
   */
  readonly stable: string;
  /** For a person: maker and model as the device or its driver tells, printable, at most 100 characters. */
  readonly description: string;
  /** USB ids, where it is a USB device. */
  readonly usb?: {
    readonly vendorId: number;
    readonly productId: number;
    readonly serial?: string;
  };
}

/** A device that came or went. */
export interface DeviceChange {
  readonly change: "attached" | "detached";
  readonly device: FoundDevice;
}

/** What is plugged into a machine, now and from now on. */
export interface DeviceInventory {
  /** All that is there. */
  list(signal: AbortSignal): Promise<readonly FoundDevice[]>;
  /** Each coming and going from the call on, in order, until `signal` aborts. */
  watch(signal: AbortSignal): AsyncIterable<DeviceChange>;
}
