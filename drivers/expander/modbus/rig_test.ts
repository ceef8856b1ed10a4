import type { SerialPort } from "../../../hal/mod.ts";
import { ABSENT, type Delivery, memorySerialLine, VirtualClock } from "../../../hal/sim/mod.ts";
import {
  SimulatedModbusBoard,
  type SimulatedModbusBoardOptions,
  simulateModbusLine,
} from "../../../hal/sim/modbus_board/mod.ts";
import { gpioInput } from "../../input/gpio/mod.ts";
import { gpioOutput } from "../../output/gpio/mod.ts";
import { modbus } from "./mod.ts";

/** A signal that never aborts. */
export const never = () => new AbortController().signal;

/** Boards on a line that can be pulled and put back. */
export async function rig(
  boards: readonly SimulatedModbusBoardOptions[],
  options: readonly object[],
  interfere?: (bytes: Uint8Array, from: "a" | "b") => readonly Delivery[],
) {
  const clock = new VirtualClock({ monotonicMs: 1_000 });
  const logged: string[] = [];
  const asked: string[] = [];
  const devices = boards.map((one) => new SimulatedModbusBoard(one, clock));
  let plugged = true;
  let hangUp = () => {};
  const openPort = (): Promise<SerialPort> => {
    if (!plugged) return Promise.reject(new Error("no such port"));
    const line = memorySerialLine(clock, {
      interfere: (bytes, from) => {
        if (from === "a") asked.push(bytes.toHex());
        return interfere?.(bytes, from) ?? [{ bytes }];
      },
    });
    hangUp = line.hangUp;
    simulateModbusLine(line.b, clock, devices, never());
    return Promise.resolve(line.a);
  };
  const abort = new AbortController();
  const host = {
    clock,
    openPort,
    log: (level: string, text: string, fields: object = {}) =>
      logged.push(`${level} ${text} ${JSON.stringify(fields)}`),
  };
  const bus = await modbus.open(host, options.map(modbus.parseOptions), abort.signal);
  const expander = bus.expanders[0]!;
  return {
    clock,
    logged,
    asked,
    devices,
    device: devices[0]!,
    abort,
    bus,
    expander,
    host: { clock, log: host.log, ...ABSENT, gpio: expander.gpio, analog: expander.analog },
    pull: () => {
      plugged = false;
      hangUp();
    },
    plug: () => void (plugged = true),
  };
}

/** See {@link rig}. */
export type Rig = Awaited<ReturnType<typeof rig>>;

/** The GPIO output driver on the rig's first board. */
export const openOutput = (r: Rig, options: object) =>
  gpioOutput.open(r.host, gpioOutput.parseOptions({ chip: "io", ...options }), never());

/** The GPIO input driver on it, with what it reported. */
export async function openInput(r: Rig, options: object) {
  const input = await gpioInput.open(
    r.host,
    gpioInput.parseOptions({ chip: "io", ...options }),
    never(),
  );
  const seen: [boolean | undefined, number][] = [];
  input.onChange((active, atMs) => seen.push([active, Math.round(atMs)]));
  return { input, seen };
}
