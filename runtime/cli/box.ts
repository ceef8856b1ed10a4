import { join } from "node:path";
import {
  GuardClient,
  linuxClock,
  linuxGpioHost,
  linuxHosts,
  linuxInventory,
  linuxSerialHost,
  startGuard,
} from "../../hal/linux/mod.ts";
import { VirtualGpio } from "../../hal/sim/mod.ts";
import { loadIdentity, startSync, type SyncHandle } from "../../sync/mod.ts";
import type { BoxEvent, BoxStatus } from "../../sync/wire/mod.ts";
import { answerLocal, type LocalApi } from "../api/mod.ts";
import {
  BatonMarks,
  Box,
  BoxMetrics,
  CorrectedClock,
  deviceFaults,
  DoorModes,
  EmergencyLatches,
  FirmwareCourier,
  recordPlugs,
} from "../box/mod.ts";
import type { ResolvedConfig } from "../config/mod.ts";
import { chooseConfig, type ChosenConfig, settingsOf, standInsFrom } from "./box_config.ts";
import { DiskReserve, type Journal, openJournal } from "../journal/mod.ts";
import { driverLog, jsonLog, type Log, LOG_LEVELS, type LogLevel } from "../log.ts";
import { PolicyKeeper } from "../policy/mod.ts";
import { VERSION } from "../version.ts";
import { reportConfigError } from "./check.ts";
import { openDevices } from "./devices.ts";
import { SimulatedBuses } from "./simulated_buses.ts";
import { DATA_DIR_DEFAULT, EXIT, readArgs, UsageError } from "./usage.ts";

const HELP = `
gatehouse box --config FILE [--data DIR] [--updates DIR] [--log-level LEVEL]

Runs a box: takes the doors that FILE names, decides at them, records every event, and talks to its
district if it was enrolled (gatehouse enrol). Logs one JSON object a line to standard error. Ends on
SIGTERM or SIGINT, outputs in their safe state.

  --config FILE       the box.yaml; gatehouse check reads it without running it
  --data DIR          journal, policy and identity, default ${DATA_DIR_DEFAULT}
  --updates DIR       what gatehouse updater keeps: firmware of readers, settings of the policy, and
                      configuration from the district, which is taken instead of FILE until FILE is
                      changed; default GATEHOUSE_UPDATES of the environment, else DATA/updates
  --log-level LEVEL   ${LOG_LEVELS.join(", ")}; default info

Exit codes: 0 stopped as asked, 1 a device or the data folder cannot be used, 2 bad usage,
3 the configuration has faults.
`;

/** `gatehouse box`. */
export async function boxCommand(args: string[], signal: AbortSignal): Promise<number> {
  const parsed = readArgs(args, {
    config: { type: "string" },
    data: { type: "string" },
    updates: { type: "string" },
    "log-level": { type: "string" },
  }, HELP);
  if (parsed === undefined) return EXIT.ok;
  const { config: path, data = DATA_DIR_DEFAULT, "log-level": level = "info" } = parsed.values;
  if (path === undefined) throw new UsageError("--config is missing");
  if (!LOG_LEVELS.includes(level as LogLevel)) {
    throw new UsageError(`--log-level is one of ${LOG_LEVELS.join(", ")}`);
  }
  const updates = parsed.values.updates ?? Deno.env.get("GATEHOUSE_UPDATES") ??
    join(data, "updates");
  let chosen: ChosenConfig;
  try {
    chosen = await chooseConfig(path, updates);
  } catch (error) {
    return reportConfigError(error, path, false);
  }
  const clock = new CorrectedClock(linuxClock());
  const encoder = new TextEncoder();
  const log = jsonLog(
    clock,
    (line) => Deno.stderr.writeSync(encoder.encode(line + "\n")),
    level as LogLevel,
  );
  try {
    await Deno.mkdir(data, { recursive: true, mode: 0o700 });
    using _reserve = new DiskReserve(data, clock, (message) => log.error(message));
    using lock = await Deno.open(join(data, "lock"), { write: true, create: true });
    if (!lock.tryLockSync(true)) {
      log.error(`another box runs on ${data}; stop it, or give each its own --data`);
      return EXIT.failed;
    }
    await runBox(chosen, { data, updates }, clock, log, signal);
    return EXIT.ok;
  } catch (error) {
    log.error("the box cannot go on", { cause: String(error) });
    return EXIT.failed;
  }
}

/** Puts the parts together, and takes them apart in the opposite order when `signal` aborts. */
async function runBox(
  { config, bundle, fault }: ChosenConfig,
  { data, updates }: { readonly data: string; readonly updates: string },
  clock: CorrectedClock,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const startMs = clock.monotonicMs();
  await using stack = new AsyncDisposableStack();
  const journalOpening = openJournal({ dataDir: data, clock });
  // Handled where it is awaited; nothing is lost if something else fails before.
  journalOpening.catch(() => {});
  // The guard's process starts meanwhile.
  const guardOpening = openGuard(config, data, clock, log.part("guard"), signal);
  // Disposed last: a goodbye with lines still in use would leave them to nobody, and none at all would
  // leave the watchdog running.
  stack.defer(async () => {
    await (await guardOpening.catch(() => undefined))?.[Symbol.asyncDispose]();
  });
  const keeper = stack.use(
    new PolicyKeeper(join(data, "policy.db"), clock, log.part("policy"), {
      box: config.box.name,
      doors: config.doors.map(({ id }) => id),
      candidates: () => standInsFrom(updates),
    }),
  );
  const journal = stack.use(await journalOpening);
  const batons = new BatonMarks(
    join(data, "batons.json"),
    journal,
    (message) => log.error(message),
  );
  const simulators = stack.use(new SimulatedBuses(clock));
  const guard = await guardOpening;
  const devices = stack.use(
    // A signal ends a device at once: a box that stops first leaves its outputs in their safe state.
    await whileOpening(signal, (opening) =>
      openDevices(config, {
        clock,
        log,
        serial: linuxSerialHost(clock),
        ...linuxHosts(clock),
        gpio: linuxGpioHost(clock, guard),
        simulatedGpio: new VirtualGpio(clock),
        simulateBus: (bus, readers) => simulators.add(bus, readers),
      }, opening)),
  );
  const metrics = new BoxMetrics();
  const modes = new DoorModes(join(data, "doors.json"), (message) => log.error(message));
  const latches = new EmergencyLatches(
    join(data, "emergencies.json"),
    (message) => log.error(message),
  );
  const box = stack.use(
    new Box(config, devices, { clock, journal, log, metrics, modes, batons, latches }),
  );
  guard?.answerWhile(() => box.alive());
  guard?.onResumed((deadMs) => void record(journal, log, { kind: "box.stalled", deadMs }));
  guard?.ready();
  box.setPolicy(keeper.inForce?.compiled);
  keeper.onChange((policy) => box.setPolicy(policy?.compiled));
  await record(journal, log, { kind: "box.started", version: VERSION });
  stack.defer(() => record(journal, log, { kind: "box.stopped" }));
  stack.use(watchPlugs(clock, journal, log));
  stack.use(
    new FirmwareCourier({
      readers: devices.readers,
      order: join(updates, "readers/order.json"),
      report: join(data, "reader-firmware.json"),
      clock,
      log: log.part("firmware"),
      record: (event) => void record(journal, log, event),
    }),
  );

  let sync: SyncHandle | undefined;
  const status = (): BoxStatus => ({
    kind: "status",
    name: config.box.name,
    version: VERSION,
    policyVersion: keeper.districtVersion(),
    ...box.status(),
    backlogEvents: backlogOf(journal),
    rssBytes: Deno.memoryUsage().rss,
    uptimeMs: Math.round(clock.monotonicMs() - startMs),
  });
  const faults = () => [
    ...faultsOf(box.status(), metrics, sync, guard, keeper.inForce?.fault),
    ...deviceFaults(devices),
  ];
  metrics.gauge(
    "gatehouse_backlog_events",
    "Durable events that the district has not acknowledged",
    () => backlogOf(journal),
  );
  metrics.gauge(
    "gatehouse_resident_memory_bytes",
    "Resident memory of the box process",
    () => Deno.memoryUsage().rss,
  );
  metrics.gauge(
    "gatehouse_readers_online",
    "Readers that answer",
    () => box.status().readers.filter((reader) => reader.online).length,
  );
  metrics.gauge(
    "gatehouse_district_connected",
    "1 while the link to the district is up",
    () => sync?.state().link === "connected" ? 1 : 0,
  );

  const identity = await loadIdentity(data);
  if (identity === undefined) log.info("not enrolled; policy comes from gatehouse policy load");
  else {
    sync = stack.use(startSync({
      identity,
      journal,
      clock: clock.uncorrected,
      log: log.part("sync"),
      status,
      onStatusChange: (listener) => {
        const cancels = [box.onChange(listener), keeper.onChange(listener)];
        return () => cancels.forEach((cancel) => cancel());
      },
      policyVersion: () => keeper.districtVersion(),
      applyPolicy: (message) => keeper.applyFromDistrict(message, journal),
      execute: (command) => box.execute(command),
      onDistrictTime: (wallMs) => clock.correct(wallMs),
    }, signal));
  }
  const slot = Deno.env.get("GATEHOUSE_SLOT") ?? "";
  const api = stack.use(serveLocal(config.api.listen, {
    status,
    vitals: () => ({
      slot,
      alive: box.alive(),
      journalWritable: !metrics.lastAppendFailed,
      journalEpoch: journal.state().epoch,
      districtConnected: sync?.state().link === "connected",
      config: { bundle, ...fault === undefined ? {} : { fault } },
      policy: settingsOf(keeper.inForce),
    }),
    faults,
    metrics: () => metrics.text(),
    ...(simulators.any ? { tap: (id, bits, hex) => simulators.tap(id, bits, hex) } : {}),
  }));
  if (fault !== undefined) log.error("the district's configuration is not taken", { fault });
  log.info("box started", {
    name: config.box.name,
    ...bundle === "" ? {} : { configuration: bundle },
    api: api.url,
    policy: keeper.inForce?.compiled.version ?? 0,
    startMs: Math.round(clock.monotonicMs() - startMs),
  });
  await aborted(signal);
  log.info("stopping", { reason: String(signal.reason) });
}

/** The guard, if there is anything to guard: an output on a line of the kernel's, or a watchdog. */
async function openGuard(
  { outputs, guard, watchdog }: ResolvedConfig,
  data: string,
  clock: CorrectedClock,
  log: Log,
  signal: AbortSignal,
): Promise<GuardClient | undefined> {
  const lines = outputs.some((output) => output.on === "own" && output.driver.bus === "gpio");
  if (!lines && watchdog === undefined) return undefined;
  return await GuardClient.open({
    socket: join(data, "guard.sock"),
    heartbeatMs: guard.heartbeatMs,
    ...(watchdog === undefined ? {} : { watchdog }),
    start: startGuard(driverLog(log)),
    clock,
    log: driverLog(log),
  }, signal);
}

/** Records what is plugged in and pulled out, until disposal. */
function watchPlugs(clock: CorrectedClock, journal: Journal, log: Log): AsyncDisposable {
  const stop = new AbortController();
  const watching = recordPlugs(linuxInventory({ clock }), {
    clock,
    log: log.part("devices"),
    record: (event) => void record(journal, log, event),
  }, stop.signal).catch((cause) => log.error("plugs are not watched", { cause: String(cause) }));
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await watching;
    },
  };
}

async function record(journal: Journal, log: Log, event: BoxEvent): Promise<void> {
  try {
    await journal.append(event);
  } catch (cause) {
    log.error("event not stored", { kind: event.kind, cause: String(cause) });
  }
}

function backlogOf(journal: Journal): number {
  return journal.state().lanes.reduce((sum, lane) => sum + lane.head - lane.synced, 0);
}

/** What an installer should know, each with the thing it is about. */
function faultsOf(
  { readers, doors }: Pick<BoxStatus, "readers" | "doors">,
  metrics: BoxMetrics,
  sync: SyncHandle | undefined,
  guard: GuardClient | undefined,
  settingsFault: string | undefined,
): string[] {
  const faults = readers.filter((reader) => !reader.online)
    .map((reader) => `reader ${reader.id} does not answer; check its cable, address and baud rate`);
  for (const door of doors) {
    if (door.alarm !== undefined) faults.push(`door ${door.id} is ${door.alarm}`);
  }
  if (metrics.lastAppendFailed) faults.push("the journal cannot be written; check the disk");
  if (settingsFault !== undefined) {
    faults.push(`staged settings of the policy are not taken: ${settingsFault}`);
  }
  const unguarded = guard?.fault();
  if (unguarded !== undefined) faults.push(unguarded);
  const fault = sync?.state().fault;
  if (fault !== undefined) faults.push(fault.message);
  return faults;
}

/** Gives `open` a signal that aborts with `signal`, but not any more once it has opened. */
async function whileOpening<T>(
  signal: AbortSignal,
  open: (opening: AbortSignal) => Promise<T>,
): Promise<T> {
  const opening = new AbortController();
  const abort = () => opening.abort(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    signal.throwIfAborted();
    return await open(opening.signal);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Serves the local API; disposal closes it. */
function serveLocal(listen: string, api: LocalApi): AsyncDisposable & { readonly url: string } {
  const { hostname, port } = new URL(`http://${listen}`);
  const server = Deno.serve(
    {
      hostname: hostname.replace(/^\[|\]$/g, ""),
      port: Number(port || 80),
      onListen: () => {},
    },
    (request) => answerLocal(api, request),
  );
  return {
    url: `http://${hostname}:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
