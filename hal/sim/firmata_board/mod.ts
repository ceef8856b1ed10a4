/**
 * A simulated Arduino Uno with StandardFirmata (Firmata protocol 2.5), at the level of bytes.
 *
 * @module
 */
import type { Cancel, Clock, SerialPort } from "../../mod.ts";
import { capabilityResponse, isAnalog, isDigital, PINS, SYSEX, text } from "./sketch.ts";

const INPUT = 0;
const OUTPUT = 1;
const ANALOG = 2;
const PULLUP = 11;
/** The sketch's main loop looks at its inputs about so often. */
const LOOP_MS = 1;
const SAMPLING_MS = 19;
/** What the sketch keeps of one message; more is dropped. */
const SYSEX_BYTES_MAX = 64;

/** How a board misbehaves. */
export interface FirmataFaults {
  /** Says nothing and does nothing, as one that hangs. */
  silent: boolean;
  /** Hears nothing, but goes on reporting. */
  deaf: boolean;
}

/** How a simulated board is. */
export interface SimulatedFirmataOptions {
  /** From reset to the greeting; a real one's boot loader takes 1 to 2 s. Default 1,000. */
  readonly bootMs?: number;
  /** Protocol version that it greets with. Default 2.5. */
  readonly version?: readonly [number, number];
}

/** One Arduino. It keeps its pins' outside voltages when its cable is pulled. */
export class SimulatedFirmataBoard {
  /** What is wrong with it. */
  readonly faults: FirmataFaults = { silent: false, deaf: false };
  readonly #clock: Clock;
  readonly #bootMs: number;
  readonly #version: readonly [number, number];
  /** Voltage from outside; `undefined` where nothing is connected. */
  readonly #outside: (boolean | undefined)[] = Array(PINS).fill(undefined);
  readonly #analog: number[] = Array(6).fill(0);
  readonly #modes: number[] = Array(PINS).fill(OUTPUT);
  readonly #driven: boolean[] = Array(PINS).fill(false);
  readonly #listeners = new Set<(pin: number, high: boolean, atMonotonicMs: number) => void>();
  readonly #sysexListeners = new Set<(message: readonly number[]) => void>();
  readonly #reportPorts: boolean[] = [false, false, false];
  readonly #reported: number[] = [0, 0, 0];
  readonly #reportAnalog = new Set<number>();
  readonly #timers = new Set<Cancel>();
  #samplingMs = SAMPLING_MS;
  #write: (bytes: Uint8Array) => void = () => {};
  #message: number[] = [];
  #running = false;

  /** One without power. */
  constructor(clock: Clock, options: SimulatedFirmataOptions = {}) {
    this.#clock = clock;
    this.#bootMs = options.bootMs ?? 1_000;
    this.#version = options.version ?? [2, 5];
  }

  /**
   * Plugs it in at `port`, the far end of the box's line: it boots, greets and serves until `signal`
   * aborts or the line is gone.
   */
  async serve(port: SerialPort, signal: AbortSignal): Promise<void> {
    this.#write = (bytes) => {
      port.write(bytes, signal).catch(() => {
        // Gone: the reading side ends the simulation.
      });
    };
    this.restart();
    try {
      for (;;) for (const byte of (await port.read(signal)).bytes) this.#take(byte);
    } catch {
      // Line or test is over: that is how a simulated board's life ends.
    }
    this.#stop();
  }

  /** Resets it, as a dip of its voltage does: outputs fall, and it greets anew. */
  restart(): void {
    this.#stop();
    this.#reset();
    this.#later(this.#bootMs, () => {
      this.#running = true;
      this.#greet();
      this.#loop();
      this.#sample();
    });
  }

  /** Puts a voltage on a pin from outside; `undefined` connects nothing. */
  setPin(pin: number, high: boolean | undefined): void {
    this.#outside[pin] = high;
  }

  /** What the converter of channel `channel` (A0 to A5) sees, 0 to 1023. */
  setAnalog(channel: number, value: number): void {
    this.#analog[channel] = value;
  }

  /** The mode a pin is in: 0 input, 1 output, 2 analog, 11 input with pull-up. */
  mode(pin: number): number {
    return this.#modes[pin]!;
  }

  /** Voltage at a pin. */
  level(pin: number): boolean {
    const mode = this.#modes[pin];
    if (mode === OUTPUT) return this.#driven[pin]!;
    return this.#outside[pin] ?? mode === PULLUP;
  }

  /** Calls back when an output changes. */
  onPin(listener: (pin: number, high: boolean, atMonotonicMs: number) => void): Cancel {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Calls back with each message of the user's own range (0x01 to 0x0F), identifier first. */
  onUserMessage(listener: (message: readonly number[]) => void): Cancel {
    this.#sysexListeners.add(listener);
    return () => void this.#sysexListeners.delete(listener);
  }

  #take(byte: number): void {
    if (!this.#running || this.faults.deaf || this.faults.silent) return;
    const message = this.#message;
    if (byte >= 0x80 && byte !== 0xf7) message.length = 0;
    else if (message.length === 0) return;
    message.push(byte);
    const [first] = message;
    if (first === 0xf0) {
      if (byte === 0xf7) {
        this.#sysex(message.slice(1, Math.min(message.length - 1, SYSEX_BYTES_MAX)));
        message.length = 0;
      } else if (message.length > SYSEX_BYTES_MAX) message.length = SYSEX_BYTES_MAX;
      return;
    }
    const command = first! < 0xf0 ? first! & 0xf0 : first!;
    const size = command === 0xf9 || command === 0xff
      ? 1
      : command === 0xc0 || command === 0xd0
      ? 2
      : 3;
    if (message.length < size) return;
    const [, a = 0, b = 0] = message;
    message.length = 0;
    this.#command(command, first! & 0x0f, a, b);
  }

  #command(command: number, low: number, a: number, b: number): void {
    switch (command) {
      case 0x90:
        return this.#writePort(low, a | b << 7);
      case 0xc0:
        if (a === 0) this.#reportAnalog.delete(low);
        else if (low < 6) {
          this.#reportAnalog.add(low);
          this.#sendAnalog(low);
        }
        return;
      case 0xd0:
        if (low > 2) return;
        this.#reportPorts[low] = a !== 0;
        if (a !== 0) this.#sendPort(low, true);
        return;
      case 0xf4:
        return this.#setMode(a, b);
      case 0xf5:
        if (isDigital(a) && this.#modes[a] === OUTPUT) this.#drive(a, b !== 0);
        return;
      case 0xf9:
        return this.#send([0xf9, ...this.#version]);
      case 0xff:
        return this.#reset();
    }
  }

  #sysex([id, ...data]: number[]): void {
    switch (id) {
      case SYSEX.firmware:
        return this.#send(this.#firmware());
      case SYSEX.capabilities:
        return this.#send(capabilityResponse());
      case SYSEX.analogMapping:
        return this.#send([
          0xf0,
          SYSEX.analogMapping + 1,
          ...Array.from({ length: PINS }, (_, pin) => isAnalog(pin) ? pin - 14 : 127),
          0xf7,
        ]);
      case SYSEX.pinState: {
        const pin = data[0] ?? PINS;
        if (pin >= PINS) return;
        const state = this.#modes[pin] === OUTPUT
          ? Number(this.#driven[pin])
          : Number(this.#modes[pin] === PULLUP);
        return this.#send([0xf0, SYSEX.pinState + 1, pin, this.#modes[pin]!, state, 0xf7]);
      }
      case SYSEX.samplingInterval:
        this.#samplingMs = Math.max(10, (data[0] ?? SAMPLING_MS) | (data[1] ?? 0) << 7);
        return;
      default:
        if (id !== undefined && id >= 0x01 && id <= 0x0f) {
          for (const listener of [...this.#sysexListeners]) listener([id, ...data]);
        } else this.#send([0xf0, 0x71, ...text("Unhandled message"), 0xf7]);
    }
  }

  #setMode(pin: number, mode: number): void {
    if (pin >= PINS) return;
    if (mode === ANALOG ? !isAnalog(pin) : !isDigital(pin)) return;
    if (![INPUT, OUTPUT, ANALOG, PULLUP].includes(mode)) {
      return this.#send([0xf0, 0x71, ...text("Unknown pin mode"), 0xf7]);
    }
    this.#modes[pin] = mode;
    if (isAnalog(pin)) {
      if (mode === ANALOG) this.#reportAnalog.add(pin - 14);
      else this.#reportAnalog.delete(pin - 14);
    }
    // The sketch takes a pin's voltage away when its mode is set.
    this.#drive(pin, false);
  }

  #writePort(port: number, value: number): void {
    for (let bit = 0; bit < 8; bit++) {
      const pin = port * 8 + bit;
      if (pin >= PINS || !isDigital(pin)) continue;
      const high = (value >> bit & 1) === 1;
      if (this.#modes[pin] === OUTPUT) this.#drive(pin, high);
      // From the time before pull-ups had a mode: writing to an input switches its pull-up on.
      else if (this.#modes[pin] === INPUT && high) this.#modes[pin] = PULLUP;
    }
  }

  #drive(pin: number, high: boolean): void {
    if (this.#driven[pin] === high) return;
    this.#driven[pin] = high;
    for (const listener of [...this.#listeners]) listener(pin, high, this.#clock.monotonicMs());
  }

  #sendPort(port: number, force: boolean): void {
    let value = 0;
    for (let bit = 0; bit < 8; bit++) {
      const pin = port * 8 + bit;
      const input = this.#modes[pin] === INPUT || this.#modes[pin] === PULLUP;
      if (pin < PINS && isDigital(pin) && input && this.level(pin)) value |= 1 << bit;
    }
    if (!force && this.#reported[port] === value) return;
    this.#reported[port] = value;
    this.#send([0x90 | port, value & 0x7f, value >> 7]);
  }

  #sendAnalog(channel: number): void {
    if (this.#modes[channel + 14] !== ANALOG) return;
    const value = this.#analog[channel]!;
    this.#send([0xe0 | channel, value & 0x7f, value >> 7]);
  }

  #loop(): void {
    for (const port of [0, 1, 2]) if (this.#reportPorts[port]) this.#sendPort(port, false);
    this.#later(LOOP_MS, () => this.#loop());
  }

  #sample(): void {
    for (const channel of this.#reportAnalog) this.#sendAnalog(channel);
    this.#later(this.#samplingMs, () => this.#sample());
  }

  #greet(): void {
    this.#send([0xf9, ...this.#version]);
    this.#send(this.#firmware());
  }

  #firmware(): number[] {
    return [0xf0, SYSEX.firmware, ...this.#version, ...text("StandardFirmata.ino"), 0xf7];
  }

  #reset(): void {
    for (let pin = 0; pin < PINS; pin++) {
      this.#drive(pin, false);
      this.#modes[pin] = isAnalog(pin) ? ANALOG : OUTPUT;
    }
    this.#reportPorts.fill(false);
    this.#reported.fill(0);
    this.#reportAnalog.clear();
    this.#samplingMs = SAMPLING_MS;
    this.#message = [];
  }

  #send(bytes: readonly number[]): void {
    if (!this.faults.silent) this.#write(Uint8Array.from(bytes));
  }

  #later(ms: number, act: () => void): void {
    const cancel = this.#clock.schedule(ms, () => {
      this.#timers.delete(cancel);
      act();
    });
    this.#timers.add(cancel);
  }

  #stop(): void {
    this.#running = false;
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }
}
