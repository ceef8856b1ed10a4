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
  const { updates, bytesPerSecondMax } = settings;
  const { trust, ddi, clock, restart, neighbours } = parts;
  const slot = Deno.env.get("GATEHOUSE_SLOT") ?? "";
  const slots = new AppSlots(settings.app);
  const backEnd = new AppBackEnd({
    dir: join(updates, "fetched"),
    slots,
    running: slot || undefined,
    arch: Deno.build.arch === "aarch64" ? "arm64" : "x64",
    trust,
    source: ddi.source(),
    clock,
    tools: SYSTEM_TOOLS,
    restart,
    ...bytesPerSecondMax === undefined ? {} : { bytesPerSecondMax },
    ...neighbours === undefined ? {} : { neighbours },
  });
  const gate = healthGate(settings, "before.json", clock);
  const app: Payload = {
    backEnd,
    stateFile: join(updates, "app.json"),
    clear: (windowOpen, ended) => gate.clear(windowOpen, ended),
    health: (ended) => gate.watch(slot, () => slots.trial() !== slot, ended),
  };
  return { app, backEnd };
}

/** The system, as {@link ImageBackEnd} installs it: whatever release of the application runs on it. */
export async function systemPayload(settings: Settings, parts: PayloadParts) {
  const { updates, bytesPerSecondMax } = settings;
  const { trust, ddi, clock, log, restart } = parts;
  const status = await SYSTEM_RAUC.status();
  const backEnd = new ImageBackEnd({
    dir: join(updates, "system"),
    rauc: SYSTEM_RAUC,
    status,
    trust,
    source: ddi.source(),
    clock,
    reboot: restart,
    onInstalled: (takenBytes, bundleBytes) =>
      log.info("system installed", { takenBytes, bundleBytes }),
    ...bytesPerSecondMax === undefined ? {} : { bytesPerSecondMax },
  });
  const gate = healthGate(settings, "before-system.json", clock);
  const os: Payload = {
    backEnd,
    stateFile: join(updates, "os.json"),
    clear: (windowOpen, ended) => gate.clear(windowOpen, ended),
    health: (ended) => gate.watch(Deno.env.get("GATEHOUSE_SLOT") ?? "", () => false, ended),
  };
  return { os, backEnd, slot: status.booted };
}

/** Firmware of readers, which the box gives them: no program is restarted but this one. */
export function firmwarePayload(settings: Settings, parts: PayloadParts): Payload {
  const { updates, data, bytesPerSecondMax } = settings;
  const { trust, ddi, clock, restart } = parts;
  const dir = join(updates, "readers");
  const backEnd = new FirmwareBackEnd({
    dir,
    report: join(data, "reader-firmware.json"),
    trust,
    source: ddi.source(),
    clock,
    freeBytes: () => SYSTEM_TOOLS.freeBytes(dir),
    leave: restart,
    ...bytesPerSecondMax === undefined ? {} : { bytesPerSecondMax },
  });
  const gate = healthGate(settings, "before-firmware.json", clock);
  const slot = Deno.env.get("GATEHOUSE_SLOT") ?? "";
  return {
    backEnd,
    stateFile: join(updates, "firmware.json"),
    clear: (windowOpen, ended) => gate.clear(windowOpen, ended),
    health: async (ended) =>
      await backEnd.carriedOut(ended) ?? await gate.watch(slot, () => false, ended),
  };
}

/** The box's configuration: what it says itself of having taken it, then the gate. */
export function configPayload(
  settings: Settings,
  config: string,
  parts: PayloadParts & { readonly boxId: string; readonly leave: () => Promise<void> },
): Payload {
  const { updates, box, bytesPerSecondMax } = settings;
  const { trust, ddi, clock, restart, leave, boxId } = parts;
  const backEnd = configBackEnd({
    ...{ updates, config, boxId, trust, source: ddi.source(), clock, restart, leave },
    ...bytesPerSecondMax === undefined ? {} : { bytesPerSecondMax },
  });
  const gate = healthGate(settings, "before-config.json", clock, true);
  const probe = boxProbe(box, clock);
  const slot = Deno.env.get("GATEHOUSE_SLOT") ?? "";
  return {
    backEnd,
    stateFile: join(updates, "config.json"),
    clear: (windowOpen, ended) => gate.clear(windowOpen, ended),
    health: async (ended) => {
      if (!backEnd.concerns()) return undefined;
      const running = async (signal: AbortSignal) => (await probe(signal))?.config;
      return await backEnd.taken(running, ended) ?? await gate.watch(slot, () => false, ended);
    },
  };
}

/** The settings of the box's policy: what it says itself of having taken them, then the gate. No program is restarted but this one. */
export function policyPayload(settings: Settings, parts: PayloadParts): Payload {
  const { updates, box, assignRole, bytesPerSecondMax } = settings;
  const { trust, ddi, clock, restart } = parts;
  const probe = boxProbe(box, clock);
  const district = /^assign-(.+)$/.exec(assignRole)?.[1];
  const running = async (signal: AbortSignal) => (await probe(signal))?.policy;
  const backEnd = policyBackEnd({
    ...{ updates, trust, source: ddi.source(), clock, leave: restart },
    settings: async (signal) => (await running(signal))?.settings,
    ...district === undefined ? {} : { district },
    ...bytesPerSecondMax === undefined ? {} : { bytesPerSecondMax },
  });
  const gate = healthGate(settings, "before-policy.json", clock);
  const slot = Deno.env.get("GATEHOUSE_SLOT") ?? "";
  return {
    backEnd,
    stateFile: join(updates, "policy.json"),
    clear: (windowOpen, ended) => gate.clear(windowOpen, ended),
    health: async (ended) =>
      await backEnd.taken(running, ended) ?? await gate.watch(slot, () => false, ended),
  };
}

function healthGate(
  settings: Settings,
  note: string,
  clock: Clock,
  mayDrop = false,
): HealthGate {
  const { updates, data, box, deadlineMs, steadyMs } = settings;
  return new HealthGate({
    probe: boxProbe(box, clock),
    freeBytes: () => SYSTEM_TOOLS.freeBytes(data),
    file: join(updates, note),
    clock,
    mayDrop,
    ...deadlineMs === undefined ? {} : { deadlineMs },
    ...steadyMs === undefined ? {} : { steadyMs },
  });
}
