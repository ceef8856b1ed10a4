/**
 * The line with simulated readers on it: finds command frames in the bytes, and frames replies.
 *
 * @module
 */
import type { Cancel, Clock, SerialPort } from "../../mod.ts";
import { SimulatedOsdpReader } from "./device.ts";
import { readCommand, type ReceivedCommand } from "./frames.ts";
import type { SimulatedReaderOptions } from "./options.ts";

/** Longest frame of the standard. */
const FRAME_BYTES_MAX = 1440;
/** A frame that paused for longer is none; far over the standard's 20 ms, for hosts that are slow. */
const PAUSE_MS_MAX = 200;

/** Simulated readers on one line. */
export interface SimulatedOsdpLine {
  /** In the order they were given. */
  readonly readers: readonly SimulatedOsdpReader[];
  /** The reader at `address`. @throws RangeError when there is none. */
  reader(address: number): SimulatedOsdpReader;
  /** Puts bytes on the line as a disturbance. */
  disturb(bytes: Uint8Array): void;
  /** Resolves when the line is gone or the signal aborted; never rejects. */
  readonly ended: Promise<void>;
}

/**
 * Puts simulated OSDP readers on `port`, the far end of a controller's line, until `signal` aborts or
 * the line is gone. The port stays the caller's.
 *
 * ```ts
 * const line = simulateOsdpReaders(pair.port, clock, [{ address: 0 }], signal);
 * line.reader(0).present(32, Uint8Array.of(0xde, 0xad, 0xbe, 0xef));
 * ```
 */
export function simulateOsdpReaders(
  port: SerialPort,
  clock: Clock,
  readers: readonly SimulatedReaderOptions[],
  signal: AbortSignal,
  /** A frame that paused for longer, in ms, is none. The standard's is 20, where time is exact. */
  pauseMsMax: number = PAUSE_MS_MAX,
): SimulatedOsdpLine {
  const devices = readers.map((options) => new SimulatedOsdpReader(options, clock));
  const line = new Line(port, clock, devices, signal, pauseMsMax);
  return {
    readers: devices,
    reader(address) {
      const device = devices.find((one) => one.address === address);
      if (device === undefined) throw new RangeError(`no simulated reader at ${address}`);
      return device;
    },
    disturb: (bytes) => line.write(bytes),
    ended: line.serve(),
  };
}

class Line {
  readonly #port: SerialPort;
  readonly #clock: Clock;
  readonly #devices: readonly SimulatedOsdpReader[];
  readonly #signal: AbortSignal;
  readonly #pauseMsMax: number;
  readonly #replies = new Set<Cancel>();
  #held: number[] = [];
  #lastMs = 0;

  constructor(
    port: SerialPort,
    clock: Clock,
    devices: readonly SimulatedOsdpReader[],
    signal: AbortSignal,
    pauseMsMax: number,
  ) {
    this.#port = port;
    this.#clock = clock;
    this.#devices = devices;
    this.#signal = signal;
    this.#pauseMsMax = pauseMsMax;
  }

  async serve(): Promise<void> {
    try {
      for (;;) {
        const { bytes, receivedMonotonicMs } = await this.#port.read(this.#signal);
        if (receivedMonotonicMs - this.#lastMs > this.#pauseMsMax) this.#held = [];
        this.#lastMs = receivedMonotonicMs;
        this.#held.push(...bytes);
        this.#look();
      }
    } catch {
      // Line or test is over: that is how a simulated reader's life ends.
    }
    for (const cancel of this.#replies) cancel();
    for (const device of this.#devices) device.stop();
  }

  write(bytes: Uint8Array): void {
    this.#port.write(bytes, this.#signal).catch(() => {
      // Gone: the reading side ends the simulation.
    });
  }

  /** Takes every whole frame out of what is held. */
  #look(): void {
    const held = this.#held;
    let from = 0;
    while (held.length - from >= 5) {
      const size = held[from + 2]! + 256 * held[from + 3]!;
      if (held[from] !== 0x53 || size < 7 || size > FRAME_BYTES_MAX) {
        from++;
        continue;
      }
      if (held.length - from < size) break;
      const frame = Uint8Array.from(held.slice(from, from + size));
      const command = readCommand(frame);
      this.#deliver(frame[1]!, command);
      from += command.checkOk ? size : 1;
    }
    this.#held = held.slice(from);
  }

  #deliver(address: number, command: ReceivedCommand): void {
    for (const device of this.#devices) {
      if (device.address !== address && address !== 0x7f) continue;
      const reply = device.answer(command);
      if (reply !== undefined) this.#reply(device, reply);
    }
  }

  #reply(device: SimulatedOsdpReader, reply: Uint8Array): void {
    const { faults } = device;
    if (faults.loseReplies > 0) {
      faults.loseReplies--;
      device.answered();
      return;
    }
    const frame = reply.slice();
    if (faults.corruptReplies > 0) {
      faults.corruptReplies--;
      frame[frame.length - 1]! ^= 0x5a;
    }
    const parts: Uint8Array[] = [frame];
    if (faults.garbageReplies > 0) {
      faults.garbageReplies--;
      parts.unshift(faults.garbage);
    }
    if (faults.twice) parts.push(frame);
    const cancel = this.#clock.schedule(device.replyDelayMs + faults.lateMs, () => {
      this.#replies.delete(cancel);
      for (const part of parts) this.write(part);
      device.answered();
    });
    this.#replies.add(cancel);
  }
}
