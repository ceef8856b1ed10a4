/**
 * Opens the devices that a configuration names.
 *
 * @module
 */
import type { CardReader, InputLine, OutputLine } from "../../drivers/contract.ts";
import type { Clock, GpioHost, SerialHost } from "../../hal/mod.ts";
import type { BoxDevices } from "../box/mod.ts";
import type { BusConfig, ResolvedConfig, ResolvedReader } from "../config/mod.ts";
import { driverLog, type Log } from "../log.ts";

/** What devices are opened with. */
export interface DeviceHosts {
  readonly clock: Clock;
  readonly log: Log;
  readonly serial: SerialHost;
  readonly gpio: GpioHost;
  /** Lines that are not there, for `driver: simulated`. */
  readonly simulatedGpio: GpioHost;
  /** Makes a line with simulated readers on it and returns the path of its other end. */
  readonly simulateBus: (bus: BusConfig, readers: readonly ResolvedReader[]) => string;
}

/** Opened devices; disposal closes them, outputs (to their safe state) first. */
export interface OpenDevices extends BoxDevices, AsyncDisposable {}

/**
 * Opens every reader, output and input of `config`. A serial port that is not there does not stop
 * it: its driver keeps trying. A GPIO line that cannot be had does: a door without its lock is none.
 */
export async function openDevices(
  config: ResolvedConfig,
  hosts: DeviceHosts,
  signal: AbortSignal,
): Promise<OpenDevices> {
  await using stack = new AsyncDisposableStack();
  const readers = new Map<string, CardReader>();
  for (const bus of config.buses) {
    const onBus = config.readers.flatMap((reader) =>
      reader.on === "bus" && reader.bus === bus.id ? [reader] : []
    );
    const [first] = onBus;
    if (first === undefined) continue;
    const path = bus.kind === "simulated" ? hosts.simulateBus(bus, onBus) : bus.path;
    const settings = bus.kind === "simulated"
      ? { path, baudRate: 9600 }
      : { path, baudRate: bus.baudRate, parity: bus.parity, stopBits: bus.stopBits };
    const host = {
      clock: hosts.clock,
      log: driverLog(hosts.log.part(bus.id)),
      openPort: (abort: AbortSignal) => hosts.serial.open(settings, abort),
    };
    const opened = stack.use(
      await first.driver.open(host, onBus.map((reader) => reader.options), signal),
    );
    for (const reader of onBus) {
      readers.set(reader.id, opened.reader((reader.options as { address: number }).address));
    }
  }
  const gpioHost = (on: "gpio" | "simulated", id: string) => ({
    clock: hosts.clock,
    log: driverLog(hosts.log.part(id)),
    gpio: on === "simulated" ? hosts.simulatedGpio : hosts.gpio,
  });
  for (const reader of config.readers) {
    if (reader.on !== "gpio") continue;
    const host = gpioHost("gpio", reader.id);
    readers.set(reader.id, stack.use(await reader.driver.open(host, reader.options, signal)));
  }
  const inputs = new Map<string, InputLine>();
  for (const input of config.inputs) {
    inputs.set(
      input.id,
      input.on === "reader"
        ? readers.get(input.reader)!.input(input.index)
        : stack.use(await input.driver.open(gpioHost(input.on, input.id), input.options, signal)),
    );
  }
  const outputs = new Map<string, OutputLine>();
  for (const output of config.outputs) {
    outputs.set(
      output.id,
      output.on === "reader" ? readers.get(output.reader)!.output(output.index) : stack.use(
        await output.driver.open(gpioHost(output.on, output.id), output.options, signal),
      ),
    );
  }
  const owned = stack.move();
  return { readers, outputs, inputs, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
