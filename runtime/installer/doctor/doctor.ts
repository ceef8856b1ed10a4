/**
 * Looks a machine and its configuration over, one thing after the other, and tells each finding as
 * soon as it is there.
 *
 * @module
 */
import {
  type Clock,
  type DeviceInventory,
  type FoundDevice,
  type GpioHost,
  type GpioSettings,
  HalError,
  type Machine,
  type MachineUser,
  type SerialHost,
  type SerialSettings,
} from "../../../hal/mod.ts";
import {
  type BusConfig,
  doorPoints,
  type ResolvedConfig,
  type ResolvedReader,
} from "../../config/mod.ts";
import { text } from "../language.ts";
import { judgeBus } from "./bus_checks.ts";
import { type BusReader, type LineFinding, type ReaderFinder, tryLine } from "./bus_trial.ts";
import { judgeAccess, judgeFound, judgeMissing } from "./device_checks.ts";
import { type DistrictReach, judgeDistrict } from "./district_check.ts";
import type { Finding } from "./finding.ts";
import {
  type InputRole,
  judgeInput,
  judgeWiegand,
  observeLine,
  refusedLine,
} from "./line_checks.ts";
import {
  judgeClock,
  judgeMemory,
  judgePower,
  judgeStorage,
  judgeWatchdog,
  judgeWear,
} from "./machine_checks.ts";
import { judgeRunning, type RunningBox } from "./running_check.ts";

/** What the doctor looks with. */
export interface DoctorHosts {
  readonly clock: Clock;
  readonly machine: Machine;
  readonly inventory: DeviceInventory;
  readonly serial: SerialHost;
  readonly gpio: GpioHost;
  /** Searches of a line, by the id of the driver that they are for. */
  readonly finders: Readonly<Record<string, ReaderFinder>>;
  /** Asks the district; `undefined` when this box was never enrolled. */
  readonly district: (signal: AbortSignal) => Promise<DistrictReach | undefined>;
  /** Asks the box that runs on this configuration, if one does. */
  readonly running: (signal: AbortSignal) => Promise<RunningBox | undefined>;
}

/** What is looked at, and for how long. */
export interface DoctorOptions {
  readonly config?: ResolvedConfig;
  readonly dataDir: string;
  /** Inputs are watched for so long, in ms. */
  readonly watchMs: number;
  /** Readers have so long to answer, in ms. */
  readonly answerMs: number;
  /** A line on which not all answer is searched for so long, in ms. */
  readonly searchMs: number;
}

/** Looks at everything; `tell` gets each finding. */
export async function examine(
  hosts: DoctorHosts,
  options: DoctorOptions,
  tell: (finding: Finding) => void,
  signal: AbortSignal,
): Promise<void> {
  const { clock, machine, inventory } = hosts;
  const { config } = options;
  const each = (findings: readonly Finding[]) => findings.forEach(tell);
  const devices = await inventory.list(signal);
  const user = await machine.user();

  each(judgeClock(await machine.clock(), clock.wallMs(), clock.wallQuality()));
  each(judgeStorage(await machine.storage(options.dataDir)));
  each(judgeWear(await machine.wear()));
  each(judgeMemory(await machine.memory()));
  each(judgePower(await machine.power()));
  const watchdogs = devices.filter((device) => device.kind === "watchdog");
  each(judgeWatchdog(watchdogs.map((device) => device.path), config?.watchdog?.path));
  const reach = await hosts.district(signal);
  if (reach !== undefined) tell(judgeDistrict(reach));
  for (const device of devices) {
    // Those two kinds have been judged with what they are for.
    if (device.kind === "watchdog" || device.kind === "rtc") continue;
    tell(judgeFound(device, await machine.access(device.path), user));
  }
  if (config === undefined) return;

  const running = await hosts.running(signal);
  if (running !== undefined) {
    // Its devices are its own: they are asked about, not taken away.
    each(judgeRunning(running));
    return;
  }
  // Lines are searched side by side, and told in the order of box.yaml.
  const buses = config.buses.map((bus) => examineBus(bus, hosts, options, devices, user, signal));
  for (const findings of await Promise.all(buses)) each(findings);
  each(
    await Promise.all([
      ...inputsOf(config).map(async ({ id, role, settings }) =>
        judgeInput(
          id,
          role,
          settings,
          await observeLine(hosts.gpio, settings, clock, options.watchMs, signal),
          options.watchMs,
        )
      ),
      ...outputsOf(config).map(({ id, settings }) => examineOutput(id, settings, hosts, signal)),
      ...wiegandOf(config).map(async ({ id, lines: [data0, data1] }) => {
        const observe = (settings: GpioSettings) =>
          observeLine(hosts.gpio, settings, clock, options.watchMs, signal);
        return judgeWiegand(
          id,
          [data0, data1],
          await Promise.all([observe(data0), observe(data1)]),
        );
      }),
    ]),
  );
  for (const reader of config.readers) {
    if (reader.on === "own" && reader.driver.bus === "hid") {
      tell(await examineHid(reader, machine, devices, user));
    }
  }
}

/** Whether the port is there, free and ours; then what is on the line. */
async function examineBus(
  bus: BusConfig,
  hosts: DoctorHosts,
  { config, answerMs, searchMs }: DoctorOptions,
  devices: readonly FoundDevice[],
  user: MachineUser,
  signal: AbortSignal,
): Promise<Finding[]> {
  if (bus.kind === "simulated") return [];
  const { path, id } = bus;
  const subject = `${id} (${path})`;
  const access = await hosts.machine.access(path);
  if (access.realPath === undefined) {
    const others = devices.filter((device) => device.kind === "serial");
    return [judgeMissing("serial-port", subject, path, others)];
  }
  const fault = judgeAccess("serial-port", subject, access, user, "serial");
  if (fault !== undefined) return [fault];
  const readers = config!.readers.flatMap((reader): BusReader[] =>
    reader.on === "bus" && reader.bus === id ? [reader] : []
  );
  const [first] = readers;
  if (first === undefined) {
    return [{
      check: "serial-port",
      subject,
      severity: "ok",
      what: text("可以打开", "it can be opened"),
    }];
  }
  const { baudRate, parity, stopBits } = bus;
  const settings: SerialSettings = {
    ...first.driver.serialDefaults,
    path,
    ...(baudRate === undefined ? {} : { baudRate }),
    ...(parity === undefined ? {} : { parity }),
    ...(stopBits === undefined ? {} : { stopBits }),
  };
  const trial = await tryLine(hosts.serial, settings, readers, hosts.clock, answerMs, signal);
  const found: LineFinding[] = [];
  const finder = hosts.finders[first.driver.id];
  const silent = trial.kind === "tried" && [...trial.readers.values()].some((one) => !one.online);
  if (silent && finder !== undefined) {
    const addresses = readers.map((one) => (one.options as { address: number }).address);
    const end = new AbortController();
    const cancel = hosts.clock.schedule(searchMs, () => end.abort());
    const until = AbortSignal.any([end.signal, signal]);
    try {
      await finder(
        (rate, aborted) => hosts.serial.open({ ...settings, baudRate: rate }, aborted),
        { baudRates: [settings.baudRate], addresses },
        (finding) => found.push(finding),
        until,
      );
    } catch (error) {
      signal.throwIfAborted();
      // The time for the search is over, or the port has failed: what it found so far counts.
      if (!end.signal.aborted && !(error instanceof HalError)) throw error;
    } finally {
      cancel();
    }
  }
  return judgeBus({ id, path, baudRate: settings.baudRate, readers, trial, found });
}

/** The inputs on GPIO lines, with what doors use them for. */
function inputsOf(
  config: ResolvedConfig,
): { readonly id: string; readonly role: InputRole; readonly settings: GpioSettings }[] {
  const expanders = new Set(config.expanders.map((expander) => expander.id));
  return config.inputs.flatMap((input) => {
    if (input.on !== "own" || input.driver.id !== "gpio") return [];
    const options = input.options as Omit<GpioSettings, "direction">;
    // An expander's lines are there only while its driver runs.
    if (expanders.has(options.chip)) return [];
    const release = config.release.find((one) => one.input === input.id);
    const role: InputRole = release !== undefined
      ? release.normally === "closed" ? "release-loop" : "release"
      : config.doors.some((door) => door.requestToExit === input.id)
      ? "request-to-exit"
      : config.doors.some((door) => doorPoints(door).contact === input.id)
      ? "contact"
      : "other";
    return [{ id: input.id, role, settings: { ...options, direction: "input" as const } }];
  });
}

/** The outputs on GPIO lines, at their safe state. */
function outputsOf(
  config: ResolvedConfig,
): { readonly id: string; readonly settings: GpioSettings }[] {
  const expanders = new Set(config.expanders.map((expander) => expander.id));
  return config.outputs.flatMap((output) => {
    if (output.on !== "own" || output.driver.id !== "gpio") return [];
    const { chip, line, activeLow, safe } = output.options as {
      readonly chip: string;
      readonly line: number;
      readonly activeLow: boolean;
      readonly safe: { readonly onExit: string };
    };
    if (expanders.has(chip)) return [];
    const initial = safe.onExit === "energised";
    return [{ id: output.id, settings: { chip, line, activeLow, direction: "output", initial } }];
  });
}

/** Whether the line can be had; it is left as a stopped box leaves it. */
async function examineOutput(
  id: string,
  settings: GpioSettings,
  { gpio }: DoctorHosts,
  signal: AbortSignal,
): Promise<Finding> {
  const subject = `${id} (${settings.chip} ${settings.line})`;
  try {
    await using _line = await gpio.request(settings, signal);
    return {
      check: "gpio-line",
      subject,
      severity: "ok",
      what: text("可以驱动；gatehouse io 可试动作", "it can be driven; gatehouse io tries it"),
    };
  } catch (error) {
    if (signal.aborted || !(error instanceof HalError)) throw error;
    return refusedLine(subject, settings, error);
  }
}

function wiegandOf(
  config: ResolvedConfig,
): { readonly id: string; readonly lines: readonly [GpioSettings, GpioSettings] }[] {
  return config.readers.flatMap((reader) => {
    if (reader.on !== "own" || reader.driver.id !== "wiegand") return [];
    const { chip, data0, data1, bias } = reader.options as {
      readonly chip: string;
      readonly data0: number;
      readonly data1: number;
      readonly bias: "as-is" | "pull-up";
    };
    const line = (number: number): GpioSettings => ({
      chip,
      line: number,
      direction: "input",
      bias,
    });
    return [{ id: reader.id, lines: [line(data0), line(data1)] as const }];
  });
}

/** A USB reader: plugged in, and ours to open. */
async function examineHid(
  reader: ResolvedReader,
  machine: Machine,
  devices: readonly FoundDevice[],
  user: MachineUser,
): Promise<Finding> {
  const { vendorId, productId, serialNumber } = reader.options as {
    readonly vendorId?: number;
    readonly productId?: number;
    readonly serialNumber?: string;
  };
  const hex = (value = 0) => value.toString(16).padStart(4, "0");
  const subject = `${reader.id} (${hex(vendorId)}:${hex(productId)})`;
  const all = devices.filter((device) => device.kind === "hid");
  const its = all.filter(({ usb }) =>
    usb?.vendorId === vendorId && usb?.productId === productId &&
    (serialNumber === undefined || usb?.serial === serialNumber)
  );
  const [device] = its;
  if (device === undefined) {
    return judgeMissing("hid", subject, `USB ${hex(vendorId)}:${hex(productId)}`, all);
  }
  const access = await machine.access(device.path);
  return judgeAccess("hid", subject, access, user, "hid") ?? {
    check: "hid",
    subject,
    severity: "ok",
    what: text(`已插上：${device.description}`, `it is plugged in: ${device.description}`),
  };
}
