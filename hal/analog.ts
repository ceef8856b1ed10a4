import type { Cancel } from "./clock.ts";

/** Which analog input. */
export interface AnalogSettings {
  /** The expander's id in `box.yaml`, or the kernel's IIO device: `iio:device0`. */
  readonly chip: string;
  /** Channel, from 0. */
  readonly channel: number;
  /**
   * The voltage that counts as 1, in mV, for a converter with a reference of its own (ADS1115): the
   * supply of the circuit that is measured. Without it, the end of the converter's range.
   */
  readonly referenceMv?: number;
}

/** One analog input, sampled by its converter at its own pace (some 10 a second). */
export interface AnalogLine extends AsyncDisposable {
  readonly settings: AnalogSettings;
  /** The last sample as a share of the reference voltage, 0 to 1; `undefined` before the first and while the converter is gone. */
  read(): number | undefined;
  /** Calls back with each sample, and with `undefined` when the converter is lost. */
  onSample(listener: (ratio: number | undefined, atMonotonicMs: number) => void): Cancel;
}

/** The analog inputs of a box. */
export interface AnalogHost {
  /** Takes an input. @throws `HalError` `not-found`, `busy`, `unsupported`. */
  request(settings: AnalogSettings, signal: AbortSignal): Promise<AnalogLine>;
}
