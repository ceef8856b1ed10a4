import type { HidReport } from "./hid.ts";
import { HalError } from "./error.ts";

/** See {@link import("./hid.ts").HidDevice.read}: a keyboard reader sends some 40 reports a card. */
const REPORTS_MAX = 256;

/** The input reports of an open HID device that nobody has read yet, for the HAL's own use. */
export class ReportQueue {
  readonly #what: string;
  readonly #reports: HidReport[] = [];
  #lost = 0;
  #gone: HalError | undefined;
  #wake: (() => void) | undefined;

  /** `what` is the device's name in messages. */
  constructor(what: string) {
    this.#what = what;
  }

  /** Why it ended; `undefined` while it is open. */
  get gone(): HalError | undefined {
    return this.#gone;
  }

  /** Takes a report; the oldest goes when it is full. */
  push(report: HidReport): void {
    if (this.#gone !== undefined || report.bytes.length === 0) return;
    this.#reports.push(report);
    if (this.#reports.length > REPORTS_MAX) {
      this.#reports.shift();
      this.#lost++;
    }
    this.#wake?.();
  }

  /** Ends it: reads that wait, and all after what is still held, say `disconnected`. */
  end(because: string): void {
    this.#gone ??= new HalError("disconnected", `${this.#what}: ${because}`);
    this.#wake?.();
  }

  /** Throws away what is held; for disposal. */
  clear(): void {
    this.#reports.length = 0;
    this.#lost = 0;
  }

  /** See {@link import("./hid.ts").HidDevice.read}. */
  async read(signal: AbortSignal): Promise<HidReport> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#lost > 0) {
        const lost = this.#lost;
        this.#lost = 0;
        throw new HalError("io", `${this.#what}: ${lost} reports were lost; nobody read them`);
      }
      const report = this.#reports.shift();
      if (report !== undefined) return report;
      if (this.#gone !== undefined) throw this.#gone;
      if (this.#wake !== undefined) {
        throw new HalError("busy", `${this.#what}: another read is waiting already`);
      }
      await new Promise<void>((resolve, reject) => {
        const settle = () => {
          this.#wake = undefined;
          signal.removeEventListener("abort", onAbort);
        };
        const onAbort = () => {
          settle();
          reject(signal.reason);
        };
        this.#wake = () => {
          settle();
          resolve();
        };
        signal.addEventListener("abort", onAbort);
      });
    }
  }
}
