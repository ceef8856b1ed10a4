/** RS-485 direction control of a port whose driver switches it (`TIOCSRS485`). Delays in ms. */
export interface Rs485Settings {
  /** Level of RTS while sending. */
  readonly rtsOnSend: boolean;
  /** Wait between driver enable and the first bit, in ms. */
  readonly delayBeforeSendMs: number;
  /** Wait between the last bit and driver disable, in ms. */
  readonly delayAfterSendMs: number;
}

/** How a serial line is opened. Data bits are always 8: no supported device uses fewer. */
export interface SerialSettings {
  /** Device path; `/dev/serial/by-id/…` keeps its meaning across reboots. */
  readonly path: string;
  /** Bits per second; any integer that the port can make. */
  readonly baudRate: number;
  /** Default `none`. */
  readonly parity?: "none" | "even" | "odd";
  /** Default 1. */
  readonly stopBits?: 1 | 2;
  /** Direction control for a half-duplex port; most USB adapters do it by themselves. */
  readonly rs485?: Rs485Settings;
}

/** Bytes as they came off a line. */
export interface SerialChunk {
  /** At least one byte. The receiver owns the buffer. */
  readonly bytes: Uint8Array;
  /** {@link import("./clock.ts").Clock.monotonicMs} when the port became readable. */
  readonly receivedMonotonicMs: number;
}

/** What a UART has counted since its driver was loaded (`TIOCGICOUNT`, ioctl_tty(2)). */
export interface SerialLineErrors {
  /** Bytes without a stop bit: a wrong baud rate, an inverted line, noise. */
  readonly framing: number;
  /** Line at rest in the wrong state for longer than a byte: inverted, or not connected. */
  readonly breaks: number;
  readonly parity: number;
  /** Bytes lost because they were not fetched in time. */
  readonly overruns: number;
}

/** An open serial line. One reader and one writer at a time. Disposal is idempotent. */
export interface SerialPort extends AsyncDisposable {
  /** What it was opened with. */
  readonly settings: SerialSettings;
  /**
   * Waits for bytes.
   *
   * @throws {@link import("./error.ts").HalError} `disconnected` on hang-up or after disposal; the
   * signal's reason when aborted (no byte is lost: the next read returns it).
   */
  read(signal: AbortSignal): Promise<SerialChunk>;
  /**
   * Hands all of `bytes` to the kernel (not yet on the wire: see {@link SerialPort.drain}).
   *
   * @throws {@link import("./error.ts").HalError} `disconnected`, or `timeout` when the line takes
   * nothing for a second.
   */
  write(bytes: Uint8Array, signal: AbortSignal): Promise<void>;
  /** Waits until the last written bit has left the port. */
  drain(signal: AbortSignal): Promise<void>;
  /** Throws away what was received and not read yet. */
  discardInput(): void;
  /** What the hardware has counted; `undefined` where the port does not count (ptys, some adapters). */
  lineErrors?(): SerialLineErrors | undefined;
}

/** Opens serial lines, each exclusively. */
export interface SerialHost {
  /**
   * Opens a port, raw, as `settings` say.
   *
   * @throws {@link import("./error.ts").HalError} `not-found`, `permission`, `busy`, `invalid`.
   */
  open(settings: SerialSettings, signal: AbortSignal): Promise<SerialPort>;
}
