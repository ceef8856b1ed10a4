import type { SerialPort } from "../serial.ts";

/** How a simulated EM4100 reader writes a tag. */
export interface Em4100ReaderOptions {
  /** With CR LF before ETX, as the ID-12LA does; without, as the RDM6300. Default `true`. */
  readonly crlf?: boolean;
}

/** A 125 kHz reader that writes each tag as ASCII; nothing is asked of it. */
export interface SimulatedEm4100Reader {
  /** Writes the tag of `number`, 40 bits, once. */
  present(number: bigint): Promise<void>;
}

/** Puts a reader on `port`. */
export function simulateEm4100Reader(
  port: SerialPort,
  options: Em4100ReaderOptions = {},
): SimulatedEm4100Reader {
  const { signal } = new AbortController();
  return {
    present(number) {
      const digits = number.toString(16).toUpperCase().padStart(10, "0");
      // Each digit of the checksum is the XOR of every other digit: the same, one nibble at a time.
      const nibble = (from: number) => {
        let sum = 0;
        for (let at = from; at < 10; at += 2) sum ^= Number(`0x${digits[at]}`);
        return sum.toString(16).toUpperCase();
      };
      const end = options.crlf === false ? "\x03" : "\r\n\x03";
      const text = `\x02${digits}${nibble(0)}${nibble(1)}${end}`;
      return port.write(new TextEncoder().encode(text), signal);
    },
  };
}
