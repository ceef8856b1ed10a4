import type { SerialPort } from "../serial.ts";

/** How a simulated scanner is set. */
export interface QrScannerSettings {
  /** What ends each code. Default CR, as scanners come from the factory. */
  readonly end?: string;
}

/** A 2D scanner on a serial line. */
export interface SimulatedQrScanner {
  /** Writes what stands in a code, once. */
  scan(text: string): Promise<void>;
}

/** Puts a scanner on `port`. */
export function simulateQrScanner(
  port: SerialPort,
  { end = "\r" }: QrScannerSettings = {},
): SimulatedQrScanner {
  const { signal } = new AbortController();
  return { scan: (text) => port.write(new TextEncoder().encode(text + end), signal) };
}
