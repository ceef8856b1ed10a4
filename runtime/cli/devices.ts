/**
 * Opens the devices that a configuration names.
 *
 * @module
 */
import type {
  CardReader,
  DeviceHost,
  Expander,
  InputLine,
  OutputLine,
  PatrolBaton,
  Sensor,
  SerialDriverHost,
} from "../../drivers/contract.ts";
import type {
  AnalogHost,
  ByteStream,
  Clock,
  GpioHost,
  HidHost,
  OneWireHost,
  SerialHost,
} from "../../hal/mod.ts";
import type { BoxDevices } from "../box/mod.ts";
import type { BusConfig, ResolvedConfig, ResolvedReader } from "../config/mod.ts";
import { driverLog, type Log } from "../log.ts";

/** What devices are opened with. */
export interface DeviceHosts {
  readonly clock: Clock;
  readonly log: Log;
  readonly serial: SerialHost;
  readonly gpio: GpioHost;
  readonly analog: AnalogHost;
  readonly hid: HidHost;
  readonly oneWire: OneWireHost;
  readonly connectUnix: (path: string, signal: AbortSignal) => Promise<ByteStream>;
  /** Lines that are not there, for `driver: simulated`. */
  readonly simulatedGpio: GpioHost;
  /** Makes a line with simulated readers on it and returns the path of its other end. */
  readonly simulateBus: (bus: BusConfig, readers: readonly ResolvedReader[]) => string;
}

/** Opened devices; disposal closes them, outputs (to their safe state) first. */
export interface OpenDevices extends BoxDevices, AsyncDisposable {}

/**
 * Opens every device of `config`. A serial port that is not there does not stop it: its driver keeps
 * trying. A GPIO line that cannot be had does: a door without its lock is none.
 */
export async function openDevices(
  config: ResolvedConfig,
  hosts: DeviceHosts,
  signal: AbortSignal,
): Promise<OpenDevices> {
  await using stack = new AsyncDisposableStack();
  const readers = new Map<string, CardReader>();
  const expanders = new Map<string, Expander>();
  const batons = new Map<string, PatrolBaton>();
  const onBus = <T extends { readonly bus: string }>(bus: BusConfig, items: readonly T[]) =>
    items.filter((item) => item.bus === bus.id);
  // First of all, since lines on them may be asked for by everything else.
  for (const bus of config.buses) {
    const busExpanders = onBus(bus, config.expanders);
    const [expander] = busExpanders;
    if (expander !== undefined) {
      const host = serialHost(bus, expander.driver.serialDefaults, hosts, expanders);
      const options = busExpanders.map((one) => one.options);
      const opened = stack.use(await expander.driver.open(host, options, signal));
      busExpanders.forEach((one, index) => expanders.set(one.id, opened.expanders[index]!));
    }
  }
  for (const bus of config.buses) {
    const busReaders = onBus(bus, config.readers.flatMap((one) => one.on === "bus" ? [one] : []));
    const [reader] = busReaders;
    if (reader !== undefined) {
      const host = serialHost(bus, reader.driver.serialDefaults, hosts, expanders, busReaders);
      const options = busReaders.map((one) => one.options);
      const opened = stack.use(await reader.driver.open(host, options, signal));
      busReaders.forEach((one, index) => readers.set(one.id, opened.readers[index]!));
    }
    for (const { id, driver, options } of onBus(bus, config.batons)) {
      const host = serialHost(bus, driver.serialDefaults, hosts, expanders);
      batons.set(id, stack.use(await driver.open(host, [options], signal)));
    }
  }
  const deviceHost = (on: "own" | "simulated", id: string): DeviceHost => ({
    clock: hosts.clock,
    log: driverLog(hosts.log.part(id)),
    gpio: on === "simulated" ? hosts.simulatedGpio : byChip(expanders, "gpio", hosts.gpio),
    analog: byChip(expanders, "analog", hosts.analog),
    hid: hosts.hid,
    oneWire: hosts.oneWire,
    connectUnix: hosts.connectUnix,
  });
  for (const reader of config.readers) {
    if (reader.on !== "own") continue;
    const host = deviceHost("own", reader.id);
    readers.set(reader.id, stack.use(await reader.driver.open(host, reader.options, signal)));
  }
  const sensors = new Map<string, Sensor>();
  for (const sensor of config.sensors) {
    if (sensor.on === "reader") continue;
    const host = deviceHost(sensor.on, sensor.id);
    sensors.set(sensor.id, stack.use(await sensor.driver.open(host, sensor.options, signal)));
  }
  const inputs = new Map<string, InputLine>();
  for (const input of config.inputs) {
    inputs.set(
      input.id,
      input.on === "reader"
        ? readers.get(input.reader)!.input(input.index)
        : stack.use(await input.driver.open(deviceHost(input.on, input.id), input.options, signal)),
    );
  }
  const outputs = new Map<string, OutputLine>();
  for (const output of config.outputs) {
    outputs.set(
      output.id,
      output.on === "reader" ? readers.get(output.reader)!.output(output.index) : stack.use(
        await output.driver.open(deviceHost(output.on, output.id), output.options, signal),
      ),
    );
  }
  const owned = stack.move();
  return {
    readers,
    outputs,
    inputs,
    sensors,
    batons,
    expanders,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A serial line as `bus` says, and where it does not, as its devices come from the factory. */
function serialHost(
  bus: BusConfig,
  defaults: { readonly baudRate: number },
  hosts: DeviceHosts,
  expanders: ReadonlyMap<string, Expander>,
  simulated: readonly ResolvedReader[] = [],
): SerialDriverHost {
  const settings = bus.kind === "simulated"
    ? { ...defaults, path: hosts.simulateBus(bus, simulated) }
    : {
      ...defaults,
      path: bus.path,
      ...Object.fromEntries(
        (["baudRate", "parity", "stopBits", "rs485"] as const).filter((key) =>
          bus[key] !== undefined
        )
          .map((key) => [key, bus[key]]),
      ),
    };
  return {
    clock: hosts.clock,
    log: driverLog(hosts.log.part(bus.id)),
    openPort: (abort, change) => hosts.serial.open({ ...settings, ...change }, abort),
    gpio: byChip(expanders, "gpio", hosts.gpio),
  };
}

/** Lines by their chip: an expander's if one is called so, else the kernel's. */
function byChip<K extends "gpio" | "analog">(
  expanders: ReadonlyMap<string, Expander>,
  kind: K,
  kernel: Expander[K],
): Expander[K] {
  const request = (settings: { readonly chip: string }, signal: AbortSignal) => {
    const host: { request: unknown } = expanders.get(settings.chip)?.[kind] ?? kernel;
    return (host.request as (settings: unknown, signal: AbortSignal) => unknown)(settings, signal);
  };
  return { request } as Expander[K];
}
