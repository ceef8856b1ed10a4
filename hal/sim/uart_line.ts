/**
 * What two UARTs that are not set alike, or are joined with the wires exchanged, make of each
 * other's bytes: the bits on the wire are laid out in time and sampled anew, as a UART does.
 *
 * @module
 */
import type { SerialChunk, SerialLineErrors, SerialPort } from "../mod.ts";

/** How the two ends differ. */
export interface UartMismatch {
  /** Rate of this end. */
  readonly ownBaud: number;
  /** Rate of the other end, now. */
  readonly peerBaud: () => number;
  /** A and B exchanged, or a level shifter too few: every level is the opposite, at rest too. */
  readonly inverted?: boolean;
}

/** What a UART made of a waveform. */
export interface Sampled {
  readonly bytes: Uint8Array;
  readonly framing: number;
  readonly breaks: number;
}

/** Start, eight data bits, stop. */
const BITS = 10;

/** `bytes` sent at `sentBaud`, 8N1, as a UART at `receivedBaud` takes them. */
export function sampleUart(
  bytes: Uint8Array,
  { sentBaud, receivedBaud, inverted = false }: {
    readonly sentBaud: number;
    readonly receivedBaud: number;
    readonly inverted?: boolean;
  },
): Sampled {
  const bits = bytes.length * BITS;
  /** The level in the sender's bit `index`; the line rests before the first and after the last. */
  const level = (index: number): boolean => {
    if (index < 0 || index >= bits) return !inverted;
    const inByte = index % BITS;
    const mark = inByte === BITS - 1 ||
      (inByte > 0 && ((bytes[(index - inByte) / BITS]! >> (inByte - 1)) & 1) === 1);
    return mark !== inverted;
  };
  const received: number[] = [];
  let framing = 0;
  let breaks = 0;
  /** The receiver's bit, measured in the sender's. */
  const step = sentBaud / receivedBaud;
  for (let from = 0; from < bits;) {
    // A byte begins where a line at rest falls.
    if (!(level(from - 1) && !level(from))) {
      from++;
      continue;
    }
    const sample = (bit: number) => level(Math.floor(from + (bit + 0.5) * step));
    if (sample(0)) {
      from++;
      continue;
    }
    let value = 0;
    for (let bit = 0; bit < 8; bit++) value |= Number(sample(bit + 1)) << bit;
    const stop = sample(BITS - 1);
    if (stop) received.push(value);
    else if (value === 0) breaks++;
    else {
      // Linux hands such a byte on unless parity is checked (n_tty).
      framing++;
      received.push(value);
    }
    from = Math.floor(from + (BITS - 0.5) * step) + 1;
    // After a byte without a stop bit the line must rest first.
    while (!stop && from < bits && !level(from - 1)) from++;
  }
  return { bytes: Uint8Array.from(received), framing, breaks };
}

/**
 * Joins `port`, one end of a line that carries any rate (a pty, a memory line), to a peer that is
 * set differently. What this end reads and writes comes out as it would through two UARTs, and it
 * counts errors as a UART's driver does. The port stays the caller's.
 */
export function mismatchedUart(port: SerialPort, mismatch: UartMismatch): SerialPort {
  const { ownBaud, peerBaud, inverted = false } = mismatch;
  // A line that rests in the wrong state is one break from the start.
  const counts = { framing: 0, breaks: inverted ? 1 : 0, parity: 0, overruns: 0 };
  const alike = () => !inverted && peerBaud() === ownBaud;
  return {
    settings: port.settings,
    async read(signal): Promise<SerialChunk> {
      for (;;) {
        const chunk = await port.read(signal);
        if (alike()) return chunk;
        const { bytes, framing, breaks } = sampleUart(chunk.bytes, {
          sentBaud: peerBaud(),
          receivedBaud: ownBaud,
          inverted,
        });
        counts.framing += framing;
        counts.breaks += breaks + (inverted ? 1 : 0);
        if (bytes.length > 0) return { ...chunk, bytes };
      }
    },
    async write(bytes, signal): Promise<void> {
      if (alike()) return await port.write(bytes, signal);
      // Let go of after sending, an exchanged pair falls back to the wrong state of rest.
      if (inverted) counts.breaks++;
      const sampled = sampleUart(bytes, { sentBaud: ownBaud, receivedBaud: peerBaud(), inverted });
      if (sampled.bytes.length > 0) await port.write(sampled.bytes, signal);
    },
    drain: (signal) => port.drain(signal),
    discardInput: () => port.discardInput(),
    lineErrors: (): SerialLineErrors => ({ ...counts }),
    [Symbol.asyncDispose]: () => port[Symbol.asyncDispose](),
  };
}
