/**
 * Simulated relay and input boards on a Modbus RTU line (Modbus over Serial Line V1.02, Modbus
 * Application Protocol V1.1b3), at the level of bytes.
 *
 * @module
 */
import type { Cancel, Clock, SerialPort } from "../../mod.ts";
import { SimulatedModbusBoard, type SimulatedModbusBoardOptions } from "./device.ts";

export {
  type ModbusFaults,
  SimulatedModbusBoard,
  type SimulatedModbusBoardOptions,
} from "./device.ts";

/** Longest frame on a serial line (V1.02 §2.5.1). */
const FRAME_BYTES_MAX = 256;
/** Bytes that came before a pause like this belong to no frame: 3.5 characters at 9600 baud. */
const PAUSE_MS = 4;

/** Simulated boards on one line. */
export interface SimulatedModbusLine {
  /** The board at `address`. @throws RangeError when there is none. */
  board(address: number): SimulatedModbusBoard;
  /** Puts bytes on the line as a disturbance. */
  disturb(bytes: Uint8Array): void;
  /** Resolves when the line is gone or the signal aborted; never rejects. */
  readonly ended: Promise<void>;
}

/**
 * Puts simulated boards on `port`, the far end of the box's line, until `signal` aborts or the line
 * is gone. The port stays the caller's.
 */
export function simulateModbusBoards(
  port: SerialPort,
  clock: Clock,
  boards: readonly SimulatedModbusBoardOptions[],
  signal: AbortSignal,
): SimulatedModbusLine {
  const devices = boards.map((options) => new SimulatedModbusBoard(options, clock));
  return simulateModbusLine(port, clock, devices, signal);
}

/** The same with boards that were made before, so that they keep their relays when a cable is put back. */
export function simulateModbusLine(
  port: SerialPort,
  clock: Clock,
  devices: readonly SimulatedModbusBoard[],
  signal: AbortSignal,
): SimulatedModbusLine {
  const line = new Line(port, clock, devices, signal);
  return {
    board(address) {
      const board = devices.find((one) => one.address === address);
      if (board === undefined) throw new RangeError(`no simulated board at ${address}`);
      return board;
    },
    disturb: (bytes) => line.write(bytes),
    ended: line.serve(),
  };
}

class Line {
  readonly #port: SerialPort;
  readonly #clock: Clock;
  readonly #boards: readonly SimulatedModbusBoard[];
  readonly #signal: AbortSignal;
  readonly #replies = new Set<Cancel>();
  #held: number[] = [];
  #lastMs = 0;

  constructor(
    port: SerialPort,
    clock: Clock,
    boards: readonly SimulatedModbusBoard[],
    signal: AbortSignal,
  ) {
    this.#port = port;
    this.#clock = clock;
    this.#boards = boards;
    this.#signal = signal;
  }

  async serve(): Promise<void> {
    try {
      for (;;) {
        const { bytes, receivedMonotonicMs } = await this.#port.read(this.#signal);
        if (receivedMonotonicMs - this.#lastMs > PAUSE_MS) this.#held = [];
        this.#lastMs = receivedMonotonicMs;
        this.#held.push(...bytes);
        this.#look();
      }
    } catch {
      // Line or test is over: that is how a simulated board's life ends.
    }
    for (const cancel of this.#replies) cancel();
    for (const board of this.#boards) board.stop();
  }

  write(bytes: Uint8Array): void {
    this.#port.write(bytes, this.#signal).catch(() => {
      // Gone: the reading side ends the simulation.
    });
  }

  /** A request's length follows from its function; what does not check is left to the next pause. */
  #look(): void {
    const held = this.#held;
    while (held.length >= 8) {
      const size = held[1] === 15 || held[1] === 16 ? 9 + held[6]! : 8;
      if (size > FRAME_BYTES_MAX) return void (this.#held = []);
      if (held.length < size) return;
      const frame = Uint8Array.from(held.splice(0, size));
      if (check(frame.subarray(0, -2)) !== (frame.at(-2)! | frame.at(-1)! << 8)) {
        held.length = 0;
        return;
      }
      this.#deliver(frame);
    }
  }

  #deliver(frame: Uint8Array): void {
    const [address] = frame;
    for (const board of this.#boards) {
      if (board.faults.silent || (address !== 0 && address !== board.address)) continue;
      const answer = board.answer(frame.subarray(1, -2));
      // A broadcast is carried out and not answered (V1.02 §2.1).
      if (address !== 0) this.#reply(board, answer);
    }
  }

  #reply(board: SimulatedModbusBoard, answer: Uint8Array): void {
    const { faults } = board;
    const body = Uint8Array.of(faults.answersAs ?? board.address, ...answer);
    let sum = check(body);
    if (faults.badChecks > 0) {
      faults.badChecks--;
      sum ^= 0x0101;
    }
    let bytes = Uint8Array.of(...faults.garbage, ...body, sum & 0xff, sum >> 8);
    if (faults.truncated > 0) {
      faults.truncated--;
      bytes = bytes.slice(0, -3);
    }
    if (faults.byteGapMs === 0) return this.#after(faults.replyMs, () => this.write(bytes));
    for (const [i, byte] of bytes.entries()) {
      this.#after(faults.replyMs + i * faults.byteGapMs, () => this.write(Uint8Array.of(byte)));
    }
  }

  #after(ms: number, act: () => void): void {
    const cancel = this.#clock.schedule(ms, () => {
      this.#replies.delete(cancel);
      act();
    });
    this.#replies.add(cancel);
  }
}

/** CRC-16 of V1.02, appendix B: polynomial 0xA001, low bit first, low byte sent first. */
function check(bytes: Uint8Array): number {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >> 1 : (crc >> 1) ^ 0xa001;
  }
  return crc;
}
