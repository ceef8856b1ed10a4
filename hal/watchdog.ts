/** How a hardware watchdog is armed. */
export interface WatchdogSettings {
  /** Device path, such as `/dev/watchdog0`. */
  readonly path: string;
  /** Reset when not petted for this long, in whole seconds' worth of ms; the hardware may round. */
  readonly timeoutMs: number;
}

/**
 * An armed watchdog (Linux watchdog API, `linux/watchdog.h`). Disposal disarms it where the hardware
 * can; a process that dies without disposal leaves it running, and the machine is reset.
 */
export interface Watchdog extends AsyncDisposable {
  /** What the hardware made of it, in ms. */
  readonly timeoutMs: number;
  /** Puts the reset off for another {@link Watchdog.timeoutMs}. @throws `HalError` `disconnected`. */
  pet(): void;
}

/** The watchdogs of a machine. */
export interface WatchdogHost {
  /** Arms one. @throws `HalError` `not-found`, `permission`, `busy`, `invalid`. */
  open(settings: WatchdogSettings, signal: AbortSignal): Promise<Watchdog>;
}
