import type { Cancel, Clock } from "../../mod.ts";

/** One simulated board. */
export interface SimulatedModbusBoardOptions {
  /** 1 to 247. */
  readonly address: number;
  /** Relays, coils from 0 on. Default 8. */
  readonly coils?: number;
  /** Discrete inputs from 0 on. Default 8. */
  readonly inputs?: number;
  /** Input registers from 0 on. Default 0. */
  readonly inputRegisters?: number;
  /** Holding registers from 0 on. Default 0. */
  readonly holdingRegisters?: number;
  /**
   * The maker's own commands. `waveshare`: function 5 at 0x0200 + n and 0x0400 + n switches for so
   * many tenths of a second. `eletechsup`: function 6 at register n, from 1, with 0x0100 on, 0x0200
   * off, 0x06xx on for xx seconds; function 3 reads the relays back.
   */
  readonly commands?: "none" | "waveshare" | "eletechsup";
}

/** How a board misbehaves; all may be set at any time. */
export interface ModbusFaults {
  /** Says nothing and does nothing, as without power. */
  silent: boolean;
  /** Replies that are still to be sent with a wrong check. */
  badChecks: number;
  /** The address that stands in its replies instead of its own. */
  answersAs: number | undefined;
  /** Exception code that it answers everything with (Modbus Application Protocol 1.1b3 §7). */
  exception: number | undefined;
  /** Wait before it answers. */
  replyMs: number;
  /** Pause between the bytes of its replies. */
  byteGapMs: number;
  /** Put before each reply. */
  garbage: Uint8Array;
  /** Replies that are cut off in the middle. */
  truncated: number;
}

const ILLEGAL_FUNCTION = 1;
const ILLEGAL_ADDRESS = 2;
const ILLEGAL_VALUE = 3;

/** A relay and input board on a Modbus line, at the level of its registers. */
export class SimulatedModbusBoard {
  /** Its address on the line. */
  readonly address: number;
  /** What is wrong with it. */
  readonly faults: ModbusFaults = {
    silent: false,
    badChecks: 0,
    answersAs: undefined,
    exception: undefined,
    replyMs: 2,
    byteGapMs: 0,
    garbage: new Uint8Array(),
    truncated: 0,
  };
  readonly #clock: Clock;
  readonly #commands: "none" | "waveshare" | "eletechsup";
  readonly #coils: boolean[];
  readonly #inputs: boolean[];
  readonly #inputRegisters: number[];
  readonly #holdingRegisters: number[];
  readonly #timers = new Map<number, Cancel>();
  readonly #listeners = new Set<(coil: number, on: boolean, atMonotonicMs: number) => void>();
  #requests = 0;

  /** Made by the line. */
  constructor(options: SimulatedModbusBoardOptions, clock: Clock) {
    this.address = options.address;
    this.#clock = clock;
    this.#commands = options.commands ?? "none";
    this.#coils = Array(options.coils ?? 8).fill(false);
    this.#inputs = Array(options.inputs ?? 8).fill(false);
    this.#inputRegisters = Array(options.inputRegisters ?? 0).fill(0);
    this.#holdingRegisters = Array(options.holdingRegisters ?? 0).fill(0);
  }

  /** The relays as they are. */
  get coils(): readonly boolean[] {
    return this.#coils;
  }

  /** Requests that it was asked so far. */
  get requests(): number {
    return this.#requests;
  }

  /** Puts a voltage on an input, or takes it away. */
  setInput(input: number, on: boolean): void {
    this.#inputs[input] = on;
  }

  /** What input register `register` says from now on, 0 to 65535. */
  setInputRegister(register: number, value: number): void {
    this.#inputRegisters[register] = value;
  }

  /** What holding register `register` says from now on, 0 to 65535. */
  setHoldingRegister(register: number, value: number): void {
    this.#holdingRegisters[register] = value;
  }

  /** Calls back when a relay switches. */
  onCoil(listener: (coil: number, on: boolean, atMonotonicMs: number) => void): Cancel {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Loses its power for a moment: all relays fall. */
  restart(): void {
    for (const coil of this.#coils.keys()) this.#set(coil, false);
  }

  /** Stops its timers. */
  stop(): void {
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
  }

  /** Carries out one request without address and check, and gives what answers it. */
  answer(request: Uint8Array): Uint8Array {
    this.#requests++;
    const code = request[0]!;
    const exception = this.faults.exception ?? this.#fault(request);
    if (exception !== undefined) return Uint8Array.of(code | 0x80, exception);
    const at = word(request, 1);
    const count = word(request, 3);
    switch (code) {
      case 1:
        return bits(code, this.#coils.slice(at, at + count));
      case 2:
        return bits(code, this.#inputs.slice(at, at + count));
      case 3:
        return words(
          code,
          this.#commands === "eletechsup"
            ? this.#coils.slice(at - 1, at - 1 + count).map(Number)
            : this.#holdingRegisters.slice(at, at + count),
        );
      case 4:
        return words(code, this.#inputRegisters.slice(at, at + count));
      case 5:
        this.#single(at, count);
        return request;
      case 6:
        if (this.#commands === "eletechsup") this.#command(at - 1, count);
        else this.#holdingRegisters[at] = count;
        return request;
      default:
        for (let i = 0; i < count; i++) {
          this.#set(at + i, (request[6 + (i >> 3)]! >> (i & 7) & 1) === 1);
        }
        return request.subarray(0, 5);
    }
  }

  #fault(request: Uint8Array): number | undefined {
    const code = request[0]!;
    const at = word(request, 1);
    const value = word(request, 3);
    const within = (size: number, first = 0) =>
      at >= first && at + value <= first + size ? undefined : ILLEGAL_ADDRESS;
    switch (code) {
      case 1:
        return value < 1 || value > 2_000 ? ILLEGAL_VALUE : within(this.#coils.length);
      case 2:
        return value < 1 || value > 2_000 ? ILLEGAL_VALUE : within(this.#inputs.length);
      case 3:
        if (value < 1 || value > 125) return ILLEGAL_VALUE;
        return this.#commands === "eletechsup"
          ? within(this.#coils.length, 1)
          : within(this.#holdingRegisters.length);
      case 4:
        return value < 1 || value > 125 ? ILLEGAL_VALUE : within(this.#inputRegisters.length);
      case 5:
        if (this.#commands === "eletechsup") return ILLEGAL_FUNCTION;
        if (this.#commands === "waveshare" && at >= 0x200) {
          return (at & 0xff) < this.#coils.length && [2, 4].includes(at >> 8)
            ? undefined
            : ILLEGAL_ADDRESS;
        }
        if (value !== 0 && value !== 0xff00) return ILLEGAL_VALUE;
        return at < this.#coils.length ? undefined : ILLEGAL_ADDRESS;
      case 6:
        if (this.#commands !== "eletechsup") {
          return at < this.#holdingRegisters.length ? undefined : ILLEGAL_ADDRESS;
        }
        return at >= 1 && at <= this.#coils.length ? undefined : ILLEGAL_ADDRESS;
      case 15:
        return this.#commands === "eletechsup" ? ILLEGAL_FUNCTION : within(this.#coils.length);
      default:
        return ILLEGAL_FUNCTION;
    }
  }

  #single(at: number, value: number): void {
    if (at < 0x200) return this.#set(at, value === 0xff00);
    this.#timed(at & 0xff, at >> 8 === 2, value * 100);
  }

  #command(coil: number, value: number): void {
    if (value === 0x0100) this.#set(coil, true);
    else if (value === 0x0200) this.#set(coil, false);
    else if (value >> 8 === 6) this.#timed(coil, true, (value & 0xff) * 1_000);
  }

  #timed(coil: number, on: boolean, ms: number): void {
    this.#set(coil, on);
    this.#timers.set(coil, this.#clock.schedule(ms, () => this.#set(coil, !on)));
  }

  #set(coil: number, on: boolean): void {
    this.#timers.get(coil)?.();
    this.#timers.delete(coil);
    if (this.#coils[coil] === on) return;
    this.#coils[coil] = on;
    for (const listener of [...this.#listeners]) listener(coil, on, this.#clock.monotonicMs());
  }
}

function word(bytes: Uint8Array, at: number): number {
  return bytes[at]! << 8 | bytes[at + 1]!;
}

function bits(code: number, levels: readonly boolean[]): Uint8Array {
  const size = Math.ceil(levels.length / 8);
  const reply = new Uint8Array(2 + size);
  reply.set([code, size]);
  for (const [i, on] of levels.entries()) if (on) reply[2 + (i >> 3)]! |= 1 << (i & 7);
  return reply;
}

function words(code: number, values: readonly number[]): Uint8Array {
  return Uint8Array.of(
    code,
    values.length * 2,
    ...values.flatMap((v) => [v >> 8 & 0xff, v & 0xff]),
  );
}
