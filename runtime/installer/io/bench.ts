/**
 * The inputs, readers and outputs of a configuration, live, for somebody who stands before them.
 *
 * @module
 */
import type { Cancel, Clock } from "../../../hal/mod.ts";
import type { BoxDevices } from "../../box/mod.ts";
import { DOOR_INPUTS, DOOR_OUTPUTS, doorPoints, type ResolvedConfig } from "../../config/mod.ts";
import { cardHex, printedNumber } from "../card_text.ts";
import { type Text, text } from "../language.ts";

/** One input. */
export interface IoInput {
  readonly id: string;
  /** `null` while it is unknown. */
  readonly active: boolean | null;
  /** What is wrong with its wires, as far as it can tell. */
  readonly fault?: string;
  /** Changes since the start. */
  readonly changes: number;
  /** Ids of what it is for: `main contact`, `release`. */
  readonly use: string;
}

/** One reader. */
export interface IoReader {
  readonly id: string;
  readonly online: boolean;
  /** The last card, right-aligned hex, and as it is printed on most cards of its length. */
  readonly card?: { readonly bits: number; readonly hex: string; readonly number: string };
  /** The last keys. */
  readonly keys?: string;
  readonly tamper?: boolean;
  readonly reads: number;
}

/** One output. */
export interface IoOutput {
  readonly id: string;
  /** Whether it is driven to its active state. */
  readonly active: boolean;
  /** Whether it is being tried now. */
  readonly driving: boolean;
  /** The door whose lock it is. */
  readonly lockOf?: string;
}

/** One sensor. */
export interface IoSensor {
  readonly id: string;
  /** `null` while there is none. */
  readonly value: number | null;
  /** UCUM. */
  readonly unit: string;
}

/** Everything at one moment. */
export interface IoSnapshot {
  readonly inputs: readonly IoInput[];
  readonly readers: readonly IoReader[];
  readonly outputs: readonly IoOutput[];
  readonly sensors: readonly IoSensor[];
  readonly expanders: readonly { readonly id: string; readonly online: boolean }[];
}

/** How long an output is tried: long enough to hear it and try the door, short enough to stay with it. */
export const DRIVE_MS = 2_000;

interface ReaderState {
  online: boolean;
  card?: { bits: number; hex: string; number: string };
  keys?: string;
  tamper?: boolean;
  reads: number;
}

/** Follows opened devices. Disposal puts a driven output back; the devices stay the caller's. */
export class IoBench implements Disposable {
  readonly #config: ResolvedConfig;
  readonly #devices: BoxDevices;
  readonly #clock: Clock;
  readonly #cancels: Cancel[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #changes = new Map<string, number>();
  readonly #readers = new Map<string, ReaderState>();
  #driving: { readonly id: string; readonly restore: () => void } | undefined;

  /** Begins to follow. */
  constructor(config: ResolvedConfig, devices: BoxDevices, clock: Clock) {
    this.#config = config;
    this.#devices = devices;
    this.#clock = clock;
    for (const [id, input] of devices.inputs) {
      this.#changes.set(id, 0);
      let before = input.active();
      this.#cancels.push(input.onChange((active) => {
        // The first level of a reader that has just answered is no change.
        if (before !== undefined) this.#changes.set(id, this.#changes.get(id)! + 1);
        before = active;
        // Fire and evacuation go before a test of a lock.
        if (this.#released() && this.#lockOf(this.#driving?.id) !== undefined) this.#restore();
        this.#changed();
      }));
    }
    for (const [id, reader] of devices.readers) {
      const state: ReaderState = { online: reader.online(), reads: 0 };
      this.#readers.set(id, state);
      this.#cancels.push(reader.onEvent((event) => {
        switch (event.kind) {
          case "card":
            state.card = {
              bits: event.bits,
              hex: cardHex(event.bits, event.data),
              number: printedNumber(event.bits, event.data),
            };
            state.reads++;
            break;
          case "keys":
            state.keys = event.keys;
            state.reads++;
            break;
          case "online":
          case "offline":
            state.online = event.kind === "online";
            break;
          case "tamper":
            state.tamper = event.active;
            break;
          case "power":
            break;
          default:
            event satisfies never;
        }
        this.#changed();
      }));
    }
    for (const sensor of devices.sensors.values()) {
      this.#cancels.push(sensor.onReading(() => this.#changed()));
    }
    for (const expander of devices.expanders.values()) {
      this.#cancels.push(expander.onOnline(() => this.#changed()));
    }
  }

  /** Calls back after anything changed. */
  onChange(listener: () => void): Cancel {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** All as it is now. */
  snapshot(): IoSnapshot {
    const { doors, release, outputs } = this.#config;
    const use = (id: string) =>
      [
        ...release.filter((one) => one.input === id).map(() => "release"),
        ...doors.flatMap((door) => [
          ...DOOR_INPUTS.filter((field) => doorPoints(door)[field] === id).map((field) =>
            `${door.id} ${field === "requestToExit" ? "exit" : field}`
          ),
        ]),
      ].join(", ");
    return {
      inputs: [...this.#devices.inputs].map(([id, input]) => {
        const fault = input.fault();
        return {
          id,
          active: input.active() ?? null,
          ...(fault === undefined ? {} : { fault }),
          changes: this.#changes.get(id)!,
          use: use(id),
        };
      }),
      readers: [...this.#readers].map(([id, state]) => ({ id, ...state })),
      outputs: outputs.map(({ id }) => {
        const lockOf = this.#lockOf(id);
        return {
          id,
          active: this.#devices.outputs.get(id)!.commanded() ?? this.#safe(id),
          driving: this.#driving?.id === id,
          ...(lockOf === undefined ? {} : { lockOf }),
        };
      }),
      sensors: [...this.#devices.sensors].map(([id, sensor]) => ({
        id,
        value: sensor.value() ?? null,
        unit: sensor.unit,
      })),
      expanders: [...this.#devices.expanders].map(([id, expander]) => ({
        id,
        online: expander.online(),
      })),
    };
  }

  /** Why output `id` must not be driven now; `undefined` when it may be. */
  refusal(id: string): Text | undefined {
    if (!this.#devices.outputs.has(id)) {
      return text(`没有名为 ${id} 的输出`, `there is no output ${id}`);
    }
    if (this.#driving !== undefined) {
      return text(`${this.#driving.id} 还在动作中`, `${this.#driving.id} is being driven`);
    }
    const door = this.#lockOf(id);
    if (door !== undefined && this.#released()) {
      return text(
        `门 ${door} 处于消防释放状态（或释放输入未知），它的锁不能试`,
        `door ${door} is in release (or its release input is unknown): its lock is not to be tried`,
      );
    }
    return undefined;
  }

  /**
   * Drives output `id` for {@link DRIVE_MS} to the state that is not its safe one, and back. Resolves
   * when it is back, also after an abort. The caller has asked a person.
   *
   * @throws RangeError when {@link IoBench.refusal} would say why not.
   */
  async drive(id: string, signal: AbortSignal): Promise<void> {
    const refused = this.refusal(id);
    if (refused !== undefined) throw new RangeError(refused.en);
    signal.throwIfAborted();
    const output = this.#devices.outputs.get(id)!;
    const safe = this.#safe(id);
    const restored = Promise.withResolvers<void>();
    const restore = () => {
      if (this.#driving?.id !== id) return;
      this.#driving = undefined;
      cancel();
      signal.removeEventListener("abort", restore);
      output.set(safe);
      this.#changed();
      restored.resolve();
    };
    const cancel = this.#clock.schedule(DRIVE_MS, restore);
    this.#driving = { id, restore };
    signal.addEventListener("abort", restore, { once: true });
    // The device's own timer is the net where this process dies meanwhile.
    output.set(!safe, safe ? {} : { revertAfterMs: DRIVE_MS });
    this.#changed();
    await restored.promise;
  }

  /** Ends everything; a driven output goes back first. Twice is fine. */
  [Symbol.dispose](): void {
    this.#restore();
    for (const cancel of this.#cancels.splice(0)) cancel();
    this.#listeners.clear();
  }

  #restore(): void {
    this.#driving?.restore();
  }

  #released(): boolean {
    // Unknown counts as active: a broken wire at the panel must not hide a fire.
    return this.#config.release.some(({ input, normally }) =>
      this.#devices.inputs.get(input)?.active() !== (normally === "closed")
    );
  }

  #lockOf(output: string | undefined): string | undefined {
    return this.#config.doors.find((door) =>
      DOOR_OUTPUTS.some((field) => doorPoints(door)[field] === output)
    )?.id;
  }

  /** The state in which a stopped box leaves the output. */
  #safe(id: string): boolean {
    const output = this.#config.outputs.find((one) => one.id === id);
    if (output === undefined || output.on === "reader") return false;
    const { safe } = output.options as {
      readonly safe?: string | { readonly onExit?: string };
    };
    return (typeof safe === "object" ? safe.onExit : safe) === "energised";
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
