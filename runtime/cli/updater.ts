import { join } from "node:path";
import type { Clock } from "../../hal/mod.ts";
import { linuxClock } from "../../hal/linux/mod.ts";
import { DdiClient, type DistrictCalls } from "../../ota/ddi/mod.ts";
import { TimeFloor, UpdateTrust } from "../../ota/trust/mod.ts";
import { Updater } from "../../ota/updater/mod.ts";
import {
  type BoxIdentity,
  DistrictClient,
  loadIdentity,
  readBody,
  TimeScale,
} from "../../sync/mod.ts";
import { jsonLog, type Log } from "../log.ts";
import { BUILT_MS, VERSION } from "../version.ts";
import {
  appPayload,
  configPayload,
  firmwarePayload,
  openNeighbours,
  policyPayload,
  type Settings,
  systemPayload,
} from "./updater_payloads.ts";
import { standIns } from "./updater_box.ts";
import { DATA_DIR_DEFAULT, EXIT, readArgs, UsageError } from "./usage.ts";

const HELP = `
gatehouse updater [--data DIR] [--app DIR] [--updates DIR] [--root FILE] [OPTION…]

Keeps a box up to date beside gatehouse box: asks the district, verifies what it says, fetches the
release, switches to it when no door is in use and none is in alarm, and goes back by itself when the
box is not as well as before. Both are started by ota/app/start, the updater with --follow. It ends
after each switch: whatever started it starts it again, from the release that is then on trial.

  --data DIR          the box's data, for its identity; default ${DATA_DIR_DEFAULT}
  --app DIR           the releases that ota/app/start starts; default DATA/app
  --updates DIR       what the updater keeps; default DATA/updates
  --config FILE       the box's box.yaml: takes configuration from the district too; default
                      GATEHOUSE_CONFIG of the environment
  --root FILE         the publisher's root metadata, as shipped; default UPDATES/root.json
  --assign-role NAME  who may assign in the publisher's delegations; default assign. With assign-NAME
                      settings of a policy are taken only when they are for the district NAME
  --box URL           the box's own interface; default http://127.0.0.1:9180
  --restart COMMAND   restarts the box; default "systemctl --no-block restart gatehouse-box.service"
  --system            this machine runs from a card image: updates the system too, through RAUC
  --reboot COMMAND    restarts the machine; default "systemctl --no-block start reboot.target"
  --deadline SECONDS  a release that is not well by then goes back; default 180
  --steady SECONDS    and it has to stay well for so long; default 60
  --poll SECONDS      asks at least so often; default as the district wishes
  --rate BYTES        takes at most so many bytes a second
  --neighbours PORT   gives boxes of the same network what it has fetched, at PORT, and takes from
                      them what they have: the district's line carries it once

Exit codes: 0 stopped as asked or after a switch, 1 it cannot run, 2 bad usage.
`;

const CALL_MS_MAX = 30_000;
const RESTART_DEFAULT = "systemctl --no-block restart gatehouse-box.service";
/** What the box's user may ask of systemd, by a rule of polkit. */
const REBOOT_DEFAULT = "systemctl --no-block --job-mode=replace-irreversibly start reboot.target";

/** `gatehouse updater`. */
export async function updaterCommand(args: string[], signal: AbortSignal): Promise<number> {
  const parsed = readArgs(args, {
    data: { type: "string", default: DATA_DIR_DEFAULT },
    app: { type: "string" },
    updates: { type: "string" },
    config: { type: "string" },
    root: { type: "string" },
    "assign-role": { type: "string", default: "assign" },
    box: { type: "string", default: "http://127.0.0.1:9180" },
    restart: { type: "string", default: RESTART_DEFAULT },
    system: { type: "boolean" },
    reboot: { type: "string", default: REBOOT_DEFAULT },
    deadline: { type: "string" },
    steady: { type: "string" },
    poll: { type: "string" },
    rate: { type: "string" },
    neighbours: { type: "string" },
  }, HELP);
  if (parsed === undefined) return EXIT.ok;
  const { values } = parsed;
  const updates = values.updates ?? join(values.data, "updates");
  const settings: Settings = {
    data: values.data,
    app: values.app ?? join(values.data, "app"),
    updates,
    config: values.config ?? Deno.env.get("GATEHOUSE_CONFIG"),
    root: values.root ?? join(updates, "root.json"),
    assignRole: values["assign-role"],
    box: values.box,
    restart: words(values.restart),
    system: values.system ?? false,
    reboot: words(values.reboot),
    deadlineMs: milliseconds(values.deadline, "--deadline"),
    steadyMs: milliseconds(values.steady, "--steady"),
    pollMsMax: milliseconds(values.poll, "--poll"),
    bytesPerSecondMax: number(values.rate, "--rate"),
    sharePort: port(values.neighbours),
  };
  const clock = linuxClock();
  const encoder = new TextEncoder();
  const log = jsonLog(clock, (line) => Deno.stderr.writeSync(encoder.encode(line + "\n")), "info");
  try {
    const identity = await loadIdentity(settings.data);
    if (identity === undefined) {
      log.error("this box is not enrolled; gatehouse enrol joins it to a district");
      return EXIT.failed;
    }
    await Deno.mkdir(updates, { recursive: true, mode: 0o700 });
    using lock = await Deno.open(join(updates, "lock"), { write: true, create: true });
    if (!lock.tryLockSync(true)) {
      log.error(`another updater runs on ${updates}; stop it`);
      return EXIT.failed;
    }
    await runUpdater(settings, identity, clock, log, signal);
    return EXIT.ok;
  } catch (error) {
    log.error("the updater cannot go on", { cause: String(error) });
    return EXIT.failed;
  }
}

async function runUpdater(
  settings: Settings,
  identity: BoxIdentity,
  clock: Clock,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const { updates } = settings;
  /** Aborted when a switch asks for a new start of everything. */
  const leave = new AbortController();
  const floor = new TimeFloor(join(updates, "time-floor"), BUILT_MS, clock);
  const time = new TimeScale(clock, (wallMs) => floor.raise(wallMs));
  using client = new DistrictClient(identity, clock, time);
  const ddi = new DdiClient(districtCalls(client, clock), identity.boxId);
  const trust = new UpdateTrust({
    dir: join(updates, "trust"),
    root: readRoot(settings.root),
    source: ddi.source(),
    clock,
    floor,
  });
  const leaving = (command: readonly string[]) => async () => {
    if (command.length > 0) await runRestart(command);
    log.info("leaving for the next release");
    leave.abort();
  };
  await using neighbours = openNeighbours(settings, clock, log);
  const parts = { trust, ddi, clock, log, neighbours };
  const standingIn = standIns(settings.box, clock);
  const { app, backEnd } = appPayload(settings, { ...parts, restart: leaving(settings.restart) });
  const system = settings.system
    ? await systemPayload(settings, { ...parts, restart: leaving(settings.reboot) })
    : undefined;
  await using updater = new Updater({
    ddi,
    trust,
    boxId: identity.boxId,
    assignRole: settings.assignRole,
    payloads: {
      app,
      firmware: firmwarePayload(settings, { ...parts, restart: leaving([]) }),
      policy: policyPayload(settings, { ...parts, restart: leaving([]) }),
      ...settings.config === undefined ? {} : {
        config: configPayload(settings, settings.config, {
          ...{ ...parts, boxId: identity.boxId, leave: leaving([]) },
          restart: leaving(settings.restart),
        }),
      },
      ...system === undefined ? {} : { os: system.os },
    },
    attributes: async (ended) => ({
      version: VERSION,
      arch: Deno.build.arch,
      "app.sha256": backEnd.running() ?? "",
      ...system === undefined ? {} : {
        "os.slot": system.slot,
        "os.sha256": system.backEnd.running() ?? "",
      },
      ...await standingIn(ended),
    }),
    learnTime: (ended) => client.probe(ended),
    clock,
    random: Math.random,
    log: (message, fields) => log.info(message, fields),
    ...settings.pollMsMax === undefined ? {} : { pollMsMax: settings.pollMsMax },
  });
  updater.start();
  log.info("updater started", { version: VERSION, slot: backEnd.running() ?? "built-in" });
  await aborted(AbortSignal.any([signal, leave.signal]));
}

function districtCalls(client: DistrictClient, clock: Clock): DistrictCalls {
  return {
    async call({ method, path, body, bytesMax }, signal) {
      const late = new AbortController();
      const why = new Error(`${path}: no answer in ${CALL_MS_MAX / 1_000} s`);
      const cancel = clock.schedule(CALL_MS_MAX, () => late.abort(why));
      try {
        const response = await client.fetchSigned({
          method,
          path,
          ...body === undefined ? {} : {
            headers: { "content-type": "application/json" },
            body: new TextEncoder().encode(body),
          },
        }, AbortSignal.any([signal, late.signal]));
        return { status: response.status, body: await readBody(response.body, path, bytesMax) };
      } finally {
        cancel();
      }
    },
    async open(path, signal, fromByte, bytes) {
      const last = bytes === undefined ? "" : fromByte + bytes - 1;
      const headers: Record<string, string> = fromByte === 0 && bytes === undefined
        ? {}
        : { range: `bytes=${fromByte}-${last}` };
      const { status, body } = await client.fetchSigned({ method: "GET", path, headers }, signal);
      return { status, body };
    },
  };
}

function readRoot(path: string): Uint8Array {
  try {
    return Deno.readFileSync(path);
  } catch (cause) {
    throw new Error(
      `${path}: the publisher's root metadata is not there; an image brings it, elsewhere copy ` +
        `metadata/1.root.json of the repository there by a way that you trust`,
      { cause },
    );
  }
}

async function runRestart([program, ...args]: readonly string[]): Promise<void> {
  const { success, code, stderr } = await new Deno.Command(program!, {
    args,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (success) return;
  const said = new TextDecoder().decode(stderr).trim().slice(-300);
  throw new Error(`${program} ended with ${code}: ${said}`);
}

function words(command: string): string[] {
  return command.split(" ").filter((word) => word !== "");
}

function number(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!(value > 0) || value > 1e9) throw new UsageError(`${option}: expected a number above 0`);
  return value;
}

function port(text: string | undefined): number | undefined {
  const value = number(text, "--neighbours");
  if (value === undefined) return undefined;
  if (Number.isInteger(value) && value <= 65_535) return value;
  throw new UsageError("--neighbours: expected a port, 1 to 65535");
}

function milliseconds(text: string | undefined, option: string): number | undefined {
  const seconds = number(text, option);
  return seconds === undefined ? undefined : seconds * 1_000;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
