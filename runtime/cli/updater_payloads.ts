import { join } from "node:path";
import type { Clock } from "../../hal/mod.ts";
import { AppBackEnd, AppSlots, SYSTEM_TOOLS } from "../../ota/app/mod.ts";
import { configBackEnd } from "../../ota/config/mod.ts";
import type { DdiClient } from "../../ota/ddi/mod.ts";
import { FirmwareBackEnd } from "../../ota/firmware/mod.ts";
import { ImageBackEnd, SYSTEM_RAUC } from "../../ota/image/mod.ts";
import { Neighbours } from "../../ota/neighbours/mod.ts";
import { policyBackEnd } from "../../ota/policy/mod.ts";
import type { UpdateTrust } from "../../ota/trust/mod.ts";
import { HealthGate, type Payload } from "../../ota/updater/mod.ts";
import type { Log } from "../log.ts";
import { boxProbe } from "./updater_box.ts";

/** What an updater was told on its command line. */
export interface Settings {
  readonly data: string;
  readonly app: string;
  readonly updates: string;
  readonly config: string | undefined;
  readonly root: string;
  readonly assignRole: string;
  readonly box: string;
  readonly restart: readonly string[];
  readonly system: boolean;
  readonly reboot: readonly string[];
  readonly deadlineMs: number | undefined;
  readonly steadyMs: number | undefined;
  readonly pollMsMax: number | undefined;
  readonly bytesPerSecondMax: number | undefined;
  readonly sharePort: number | undefined;
}

/** What every payload is made of. */
export interface PayloadParts {
  readonly trust: UpdateTrust;
  readonly ddi: DdiClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly restart: () => Promise<void>;
  readonly neighbours: Neighbours | undefined;
}

/** Without them a box is as well, and takes everything from the district. */
export function openNeighbours(
  { updates, sharePort, bytesPerSecondMax }: Settings,
  clock: Clock,
  log: Log,
): Neighbours | undefined {
  if (sharePort === undefined) return undefined;
  try {
    return Neighbours.open({
      dir: join(updates, "shared"),
      port: sharePort,
      clock,
      random: Math.random,
      log: (message, fields) => log.info(message, fields),
      ...bytesPerSecondMax === undefined ? {} : { bytesPerSecondMax },
    });
  } catch (error) {
    log.warn("nothing is shared with neighbours", { port: sharePort, cause: String(error) });
    return undefined;
  }
}

/** The application, as {@link AppBackEnd} installs it, behind the box's health gate. */
export function appPayload(
  settings: Settings,
  parts: PayloadParts,
): { readonly app: Payload; readonly backEnd: AppBackEnd } {
  const { restart, neighbours } = parts;
  const slots = new AppSlots(settings.app);
  const backEnd = new AppBackEnd({
    ...shared(settings, parts),
    dir: join(settings.updates, "fetched"),
    slots,
    running: SLOT || undefined,
    arch: Deno.build.arch === "aarch64" ? "arm64" : "x64",
    tools: SYSTEM_TOOLS,
    restart,
    ...neighbours === undefined ? {} : { neighbours },
  });
  const app = behindGate(settings, parts, backEnd, {
    ...{ name: "app", before: "before.json", givenUp: () => slots.trial() !== SLOT },
  });
  return { app, backEnd };
}

/** The system, as {@link ImageBackEnd} installs it: whatever release of the application runs on it. */
export async function systemPayload(settings: Settings, parts: PayloadParts) {
  const { log, restart } = parts;
  const status = await SYSTEM_RAUC.status();
  const backEnd = new ImageBackEnd({
    ...shared(settings, parts),
    dir: join(settings.updates, "system"),
    rauc: SYSTEM_RAUC,
    status,
    reboot: restart,
    onInstalled: (takenBytes, bundleBytes) =>
      log.info("system installed", { takenBytes, bundleBytes }),
  });
  const how = { name: "os", before: "before-system.json" };
  return { os: behindGate(settings, parts, backEnd, how), backEnd, slot: status.booted };
}

/** Firmware of readers, which the box gives them: no program is restarted but this one. */
export function firmwarePayload(settings: Settings, parts: PayloadParts): Payload {
  const dir = join(settings.updates, "readers");
  const backEnd = new FirmwareBackEnd({
    ...shared(settings, parts),
    dir,
    report: join(settings.data, "reader-firmware.json"),
    freeBytes: () => SYSTEM_TOOLS.freeBytes(dir),
    leave: parts.restart,
  });
  return behindGate(settings, parts, backEnd, {
    name: "firmware",
    before: "before-firmware.json",
    wrong: (ended) => backEnd.carriedOut(ended),
  });
}

/** The box's configuration: what it says itself of having taken it, then the gate. */
export function configPayload(
  settings: Settings,
  config: string,
  parts: PayloadParts & { readonly boxId: string; readonly leave: () => Promise<void> },
): Payload {
  const { updates, box } = settings;
  const { clock, restart, leave, boxId } = parts;
  const backEnd = configBackEnd({
    ...{ ...shared(settings, parts), updates, config, boxId, restart, leave },
  });
  const probe = boxProbe(box, clock);
  const payload = behindGate(settings, parts, backEnd, {
    ...{ name: "config", before: "before-config.json", mayDrop: true },
    wrong: (ended) => backEnd.taken(async (signal) => (await probe(signal))?.config, ended),
  });
  // A bundle without this box changes nothing that could be unwell.
  const health = async (ended: AbortSignal) =>
    backEnd.concerns() ? await payload.health(ended) : undefined;
  return { ...payload, health };
}

/** The settings of the box's policy: what it says itself of having taken them, then the gate. No program is restarted but this one. */
export function policyPayload(settings: Settings, parts: PayloadParts): Payload {
  const { updates, box, assignRole } = settings;
  const { clock, restart } = parts;
  const probe = boxProbe(box, clock);
  const district = /^assign-(.+)$/.exec(assignRole)?.[1];
  const running = async (signal: AbortSignal) => (await probe(signal))?.policy;
  const backEnd = policyBackEnd({
    ...{ ...shared(settings, parts), updates, leave: restart },
    settings: async (signal) => (await running(signal))?.settings,
    ...district === undefined ? {} : { district },
  });
  return behindGate(settings, parts, backEnd, {
    name: "policy",
    before: "before-policy.json",
    wrong: (ended) => backEnd.taken(running, ended),
  });
}

/** The release of the application that this updater is of; empty for the one of the system image. */
const SLOT = Deno.env.get("GATEHOUSE_SLOT") ?? "";

/** What every back end is made of. */
function shared({ bytesPerSecondMax }: Settings, { trust, ddi, clock }: PayloadParts) {
  return {
    ...{ trust, source: ddi.source(), clock },
    ...bytesPerSecondMax === undefined ? {} : { bytesPerSecondMax },
  };
}

/** How a payload is watched. */
interface Watched {
  /** Of its state's file. */
  readonly name: string;
  /** The file with how the box was before the switch. */
  readonly before: string;
  /** Whether a door or a reader that is gone was taken out on purpose. */
  readonly mayDrop?: boolean;
  /** Whether the starter has given up on it. */
  readonly givenUp?: () => boolean;
  /** What is wrong with the payload itself, asked before the box is watched. */
  readonly wrong?: (ended: AbortSignal) => Promise<string | undefined>;
}

function behindGate(
  { updates, data, box, deadlineMs, steadyMs }: Settings,
  { clock }: PayloadParts,
  backEnd: Payload["backEnd"],
  { name, before, mayDrop = false, givenUp = () => false, wrong }: Watched,
): Payload {
  const gate = new HealthGate({
    probe: boxProbe(box, clock),
    freeBytes: () => SYSTEM_TOOLS.freeBytes(data),
    file: join(updates, before),
    clock,
    mayDrop,
    ...deadlineMs === undefined ? {} : { deadlineMs },
    ...steadyMs === undefined ? {} : { steadyMs },
  });
  return {
    backEnd,
    stateFile: join(updates, `${name}.json`),
    clear: (windowOpen, ended) => gate.clear(windowOpen, ended),
    health: async (ended) => await wrong?.(ended) ?? await gate.watch(SLOT, givenUp, ended),
  };
}
