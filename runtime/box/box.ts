/**
 * The box: joins readers, policy and doors. Everything it needs comes in by its constructor; it
 * knows no operating system, no network and no file.
 *
 * @module
 */
import type { Cancel, Clock } from "../../hal/mod.ts";
import type {
  CardReader,
  Expander,
  InputLine,
  OutputLine,
  PatrolBaton,
  ReaderEvent,
  ReaderFeedback,
  Sensor,
} from "../../drivers/contract.ts";
import type {
  BoxCommand,
  BoxEvent,
  BoxStatus,
  CommandOutcome,
  DoorMode,
} from "../../sync/wire/mod.ts";
import type { DoorConfig, ResolvedConfig } from "../config/mod.ts";
import { carriesCurrent, type Direction, DoorController } from "../door/mod.ts";
import type { EventSink } from "../journal/contract.ts";
import type { Log } from "../log.ts";
import {
  bindPolicy,
  type BoundPolicy,
  cardKeyFromRead,
  cardNumberOf,
  type CompiledPolicy,
  decide,
  type Decision,
  LocalTime,
} from "../policy/mod.ts";
import type { BoxMetrics } from "./metrics.ts";
import { traitsOf, wiringOf } from "./portal.ts";
import { type BatonStore, recordDevices } from "./record_devices.ts";
import { recordSensor } from "./record_sensors.ts";
import { type Latches, Safety, type SafetyOutcome } from "./safety.ts";

/** The devices of a box, opened by whoever knows how, under the ids of `box.yaml`. */
export interface BoxDevices {
  readonly readers: ReadonlyMap<string, CardReader>;
  readonly outputs: ReadonlyMap<string, OutputLine>;
  readonly inputs: ReadonlyMap<string, InputLine>;
  readonly sensors: ReadonlyMap<string, Sensor>;
  readonly batons: ReadonlyMap<string, PatrolBaton>;
  readonly expanders: ReadonlyMap<string, Expander>;
}

/** What a box needs beside its devices. */
export interface BoxHost {
  readonly clock: Clock;
  readonly journal: EventSink;
  readonly log: Log;
  readonly metrics: BoxMetrics;
  /** Modes of doors across restarts. */
  readonly modes: { of(door: string): DoorMode; set(door: string, mode: DoorMode): void };
  /** Where the reads of patrol batons go. */
  readonly batons: BatonStore;
  /** Emergencies across restarts. */
  readonly latches: Latches;
}

/** Timers of a loaded processor are late by some 10 ms; a door that is late by this is stuck. */
const DOOR_OVERDUE_MS_MAX = 250;

interface Portal {
  readonly index: number;
  readonly config: DoorConfig;
  readonly controller: DoorController;
  /** When the card was read for which the lock is about to be driven. */
  grantReadMs: number | undefined;
}

/** How a command ended, for its result. */
export interface CommandResult {
  readonly outcome: CommandOutcome;
  readonly detail?: string;
}

/** One box at work, from construction to disposal. */
export class Box implements Disposable {
  readonly #config: ResolvedConfig;
  readonly #devices: BoxDevices;
  readonly #host: BoxHost;
  readonly #localTime: LocalTime;
  readonly #portals = new Map<string, Portal>();
  readonly #cancels: Cancel[] = [];
  readonly #changeListeners = new Set<() => void>();
  readonly #safety: Safety;
  #policy: BoundPolicy | undefined;

  /** Takes control of the doors at once: each goes to locked, or to the mode it was last given. */
  constructor(config: ResolvedConfig, devices: BoxDevices, host: BoxHost) {
    this.#config = config;
    this.#devices = devices;
    this.#host = host;
    this.#localTime = new LocalTime(config.box.timezone);
    this.#safety = new Safety(config, {
      clock: host.clock,
      log: host.log,
      inputs: devices.inputs,
      outputs: devices.outputs,
      latches: host.latches,
      record: (event) => this.#record(event),
      onRelease: (active) => {
        for (const { controller } of this.#portals.values()) {
          controller.apply({ kind: "release", active });
        }
      },
    });
    this.#cancels.push(...recordDevices(
      devices,
      (event) => this.#record(event),
      host.batons,
    ));
    for (const { id, record } of config.sensors) {
      const sensor = devices.sensors.get(id)!;
      this.#cancels.push(
        recordSensor(id, sensor, record, host.clock, (event) => this.#record(event)),
      );
    }
    for (const [index, door] of config.doors.entries()) this.#addDoor(index, door);
    this.#safety.start(config.release);
    for (const { id, door, direction } of config.readers) {
      if (door === undefined) this.#watchPatrolReader(id);
      else this.#watchReader(id, door, direction);
    }
  }

  /** Puts a policy in force from the next tap on; `undefined` refuses everybody. */
  setPolicy(compiled: CompiledPolicy | undefined): void {
    const doors = this.#config.doors.map((door) => door.id);
    this.#policy = compiled && bindPolicy(compiled, this.#config.box.name, doors);
  }

  /** Carries out a command. The caller has checked who sent it, and when. */
  execute(command: BoxCommand): CommandResult {
    switch (command.name) {
      case "door.open":
      case "door.mode": {
        const portal = this.#portals.get(command.door);
        if (portal === undefined) {
          const known = [...this.#portals.keys()].join(", ");
          const detail = `no door ${command.door} here; there are: ${known}`;
          return { outcome: "refused", detail };
        }
        return command.name === "door.open"
          ? this.#open(portal)
          : this.#setMode(portal, command.mode);
      }
      case "emergency.reset":
        return resultOf(this.#safety.reset(command.input, "command"));
      case "signal.silence":
        return resultOf(this.#safety.silence(command.signal));
      default:
        return command satisfies never;
    }
  }

  /** Doors and readers as the district is told. */
  status(): Pick<BoxStatus, "doors" | "readers"> {
    return {
      doors: [...this.#portals.values()].map(({ controller }) => {
        const { mode, unlocked, open, alarm } = controller.state;
        return {
          id: controller.traits.id,
          mode,
          unlocked,
          ...(open === undefined ? {} : { open }),
          ...(alarm === undefined ? {} : { alarm }),
        };
      }),
      readers: this.#config.readers.map(({ id, door }) => ({
        id,
        ...(door === undefined ? {} : { door }),
        online: this.#devices.readers.get(id)?.online() ?? false,
      })),
    };
  }

  /** Calls back after each change of {@link Box.status}. */
  onChange(listener: () => void): Cancel {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  /**
   * Whether the doors are really alive: it runs where they decide, and none has left undone what was
   * due. A guard asks.
   */
  alive(): boolean {
    return [...this.#portals.values()].every(({ controller }) =>
      controller.overdueMs() <= DOOR_OVERDUE_MS_MAX
    );
  }

  /** Stops deciding. Locks stay as they are until their outputs are disposed. */
  [Symbol.dispose](): void {
    for (const cancel of this.#cancels) cancel();
    this.#safety[Symbol.dispose]();
    for (const { controller } of this.#portals.values()) controller[Symbol.dispose]();
    this.#changeListeners.clear();
  }

  #open({ controller }: Portal): CommandResult {
    if (!controller.takesGrant()) {
      return { outcome: "refused", detail: "too many are waiting to go through; try again" };
    }
    controller.apply({ kind: "unlock", cause: "command" });
    return { outcome: "done" };
  }

  #setMode({ controller }: Portal, mode: DoorMode): CommandResult {
    controller.apply({ kind: "mode", mode });
    try {
      this.#host.modes.set(controller.traits.id, mode);
    } catch (cause) {
      const detail = `done, but a restart will forget it: ${(cause as Error).message}`;
      this.#host.log.error("door mode not stored", { door: controller.traits.id, detail });
      return { outcome: "done", detail };
    }
    return { outcome: "done" };
  }

  #changed(): void {
    for (const listener of this.#changeListeners) listener();
  }

  #record(event: BoxEvent): void {
    const { clock, journal, log, metrics } = this.#host;
    // A siren waits for no disk.
    this.#safety.note(event);
    const startMs = clock.monotonicMs();
    journal.append(event).then(
      () => {
        metrics.append.observe((clock.monotonicMs() - startMs) / 1000);
        metrics.lastAppendFailed = false;
      },
      (cause: unknown) => {
        metrics.appendFailures.inc();
        metrics.lastAppendFailed = true;
        log.error("event not stored", { kind: event.kind, cause: String(cause) });
      },
    );
  }

  #addDoor(index: number, config: DoorConfig): void {
    const { id } = config;
    const readers = this.#config.readers.filter((reader) => reader.door === id)
      .map((reader) => this.#devices.readers.get(reader.id)!);
    const wiring = { ...wiringOf(config, this.#devices), readers };
    const controller = new DoorController(traitsOf(config), wiring, {
      clock: this.#host.clock,
      record: (event) => this.#record(event),
      onChange: () => this.#changed(),
    }, this.#host.modes.of(id));
    const portal: Portal = { index, config, controller, grantReadMs: undefined };
    this.#portals.set(id, portal);
    for (const output of [wiring.lock, wiring.second]) {
      if (output === undefined) continue;
      this.#cancels.push(output.onDriven((active, atMonotonicMs) => {
        const readMs = portal.grantReadMs;
        portal.grantReadMs = undefined;
        // A relay that is already on is not driven again; its relocking is no answer to a tap.
        if (readMs === undefined || active !== carriesCurrent(config.kind, true)) return;
        this.#host.metrics.tapToRelay.observe((atMonotonicMs - readMs) / 1000);
      }));
    }
  }

  #watchReader(id: string, door: string, direction: Direction): void {
    const reader = this.#devices.readers.get(id)!;
    const portal = this.#portals.get(door)!;
    this.#listen(reader, (event) => {
      if (event.kind === "card") this.#card(id, reader, direction, portal, event);
      else this.#readerEvent(id, reader, portal.controller.restingFeedback(), event);
    });
  }

  /** A patrol tag opens nothing: it is recorded, and the guard is shown that it was read. */
  #watchPatrolReader(id: string): void {
    const reader = this.#devices.readers.get(id)!;
    this.#listen(reader, (event) => {
      if (event.kind !== "card") return this.#readerEvent(id, reader, "idle", event);
      const tag = cardNumberOf(cardKeyFromRead(event.bits, event.data)).hex;
      const readAtMs = this.#host.clock.wallMs();
      this.#record({ kind: "patrol.read", source: id, tag, readAtMs });
      reader.show("granted");
    });
  }

  /** Follows a reader; one that came online while the others were opened says so now. */
  #listen(reader: CardReader, listener: (event: ReaderEvent) => void): void {
    this.#cancels.push(reader.onEvent(listener));
    if (reader.online()) listener({ kind: "online", identity: undefined });
  }

  #card(
    id: string,
    reader: CardReader,
    direction: Direction,
    portal: Portal,
    event: Extract<ReaderEvent, { kind: "card" }>,
  ): void {
    const { clock, metrics } = this.#host;
    const door = portal.config.id;
    const key = cardKeyFromRead(event.bits, event.data);
    const wallMs = clock.wallMs();
    const place = { index: portal.index, mode: portal.controller.state.mode };
    const decided = decide(this.#policy, place, key, {
      wallMs,
      local: this.#localTime.at(wallMs),
    });
    const { controller } = portal;
    const decision: Decision = decided.granted && !controller.takesGrant()
      ? { ...decided, granted: false, reason: "passage-busy" }
      : decided;
    if (decision.granted) {
      const { credential, cardholder } = decision;
      // Who waits behind others is let through later: that is no answer to the tap.
      const waits = "queueMax" in controller.traits && controller.state.unlocked;
      portal.grantReadMs = waits ? undefined : event.receivedMonotonicMs;
      controller.apply({
        kind: "unlock",
        cause: "access",
        direction,
        person: { credential, cardholder },
        event: { kind: "access.granted", door, reader: id, credential, cardholder },
      });
      if (!controller.state.unlocked) portal.grantReadMs = undefined;
      reader.show("granted");
      metrics.taps.inc({ result: "granted" });
      return;
    }
    reader.show("denied");
    const { granted: _granted, ...why } = decision;
    const card = why.credential === undefined ? { card: cardNumberOf(key) } : {};
    this.#record({ kind: "access.denied", door, reader: id, ...why, ...card });
    metrics.taps.inc({ result: why.reason });
  }

  #readerEvent(
    reader: string,
    handle: CardReader,
    resting: ReaderFeedback,
    event: Exclude<ReaderEvent, { kind: "card" }>,
  ): void {
    switch (event.kind) {
      case "keys":
        // Digits may be a PIN: the record says only how many there were.
        this.#record({ kind: "reader.keys", reader, count: event.keys.length });
        break;
      case "online":
        handle.show(resting);
        this.#record({
          kind: "reader.online",
          reader,
          ...(event.identity === undefined ? {} : { firmware: event.identity.firmware }),
        });
        break;
      case "offline":
        if (event.reason !== "closed") {
          this.#record({ kind: "reader.offline", reader, reason: event.reason });
        }
        break;
      case "tamper":
        this.#record({ kind: "reader.tamper", reader, active: event.active });
        break;
      case "power":
        this.#record({ kind: "reader.power", reader, failed: event.failed });
        break;
      default:
        event satisfies never;
    }
    this.#changed();
  }
}

function resultOf(outcome: SafetyOutcome): CommandResult {
  return outcome.done ? { outcome: "done" } : { outcome: "refused", detail: outcome.detail };
}
