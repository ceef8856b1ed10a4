/**
 * What a box records. The union is closed: a new kind is added here, with its lane, and the
 * compiler shows every place that must know it.
 *
 * @module
 */
import type { WallQuality } from "../../hal/mod.ts";

/** Lanes of the journal, most urgent first. An index into it is a lane's number on the wire. */
export const LANES = ["alarm", "command", "access", "telemetry"] as const;

/** One lane's name. */
export type Lane = typeof LANES[number];

/** Why a card was refused. */
export const DENIAL_REASONS = [
  "unknown-card",
  "no-policy",
  "credential-inactive",
  "cardholder-inactive",
  "not-yet-valid",
  "expired",
  "no-access-here",
  "outside-schedule",
  "door-locked",
  "passage-busy",
] as const;

/** One reason of {@link DENIAL_REASONS}. */
export type DenialReason = typeof DENIAL_REASONS[number];

/** How a door decides who passes: `normal` by policy, `free` stands unlocked, `locked` lets nobody in. */
export type DoorMode = "normal" | "free" | "locked";

/** Why a door was unlocked. */
export type UnlockCause = "access" | "request-to-exit" | "command" | "free" | "release";

/** A card number: its length and its value in lower-case hex, right-aligned, two digits a byte. */
export interface CardNumber {
  /** 1 to 255. */
  readonly bits: number;
  /** ceil(bits / 8) bytes as hex. */
  readonly hex: string;
}

/** What happened. Ids of doors, readers, inputs and outputs are those of `box.yaml`. */
export type BoxEvent =
  // access
  | {
    readonly kind: "access.granted";
    readonly door: string;
    readonly reader: string;
    /** `Credential.id` of the policy. */
    readonly credential: number;
    /** `Cardholder.id` of the policy. */
    readonly cardholder: number;
  }
  | {
    readonly kind: "access.denied";
    readonly door: string;
    readonly reader: string;
    readonly reason: DenialReason;
    readonly credential?: number;
    readonly cardholder?: number;
    /** The number as read, only for an unknown card. */
    readonly card?: CardNumber;
  }
  | { readonly kind: "door.unlocked"; readonly door: string; readonly cause: UnlockCause }
  | { readonly kind: "door.relocked"; readonly door: string }
  | { readonly kind: "door.opened"; readonly door: string }
  | { readonly kind: "door.closed"; readonly door: string }
  | {
    /** Somebody went through, as a turnstile's or barrier's own sensors tell. */
    readonly kind: "door.passed";
    readonly door: string;
    readonly direction: "in" | "out";
  }
  | {
    /** Somebody was let through a turnstile or barrier, and nobody went. */
    readonly kind: "access.unused";
    readonly door: string;
    readonly direction: "in" | "out";
    /** Who it was for; absent when no card was read for it. */
    readonly credential?: number;
    readonly cardholder?: number;
  }
  | {
    /** A patrol tag was read, at a reader or by a baton that was downloaded later. */
    readonly kind: "patrol.read";
    /** Reader or baton's cradle in `box.yaml`. */
    readonly source: string;
    /** The tag's number as lower-case hex. */
    readonly tag: string;
    /** Wall time of the read in ms since 1970; of a baton, corrected by its clock's offset. */
    readonly readAtMs: number;
    /** Serial number of the baton. */
    readonly baton?: string;
    /** The read's place in the baton's memory. */
    readonly record?: number;
  }
  // alarm
  | { readonly kind: "door.forced"; readonly door: string }
  | { readonly kind: "door.held"; readonly door: string }
  | { readonly kind: "door.secured"; readonly door: string }
  | { readonly kind: "release.activated"; readonly input: string }
  | { readonly kind: "release.cleared"; readonly input: string }
  | {
    /** More went through than were let through. */
    readonly kind: "door.tailgated";
    readonly door: string;
    /** Persons too many, from 1. */
    readonly count: number;
  }
  | {
    /** An emergency button was pressed; each press is one event, also while it is raised already. */
    readonly kind: "emergency.raised";
    readonly input: string;
  }
  | {
    /** Somebody reset it, at the box or from the district. */
    readonly kind: "emergency.cleared";
    readonly input: string;
    readonly by: "key" | "command";
  }
  | {
    /** The wires of a supervised input: `open` broken, `short` touching, `none` mended. */
    readonly kind: "input.fault";
    readonly input: string;
    readonly fault: InputFaultState;
  }
  | { readonly kind: "expander.offline"; readonly expander: string }
  | { readonly kind: "reader.offline"; readonly reader: string; readonly reason: string }
  | { readonly kind: "reader.tamper"; readonly reader: string; readonly active: boolean }
  | { readonly kind: "reader.power"; readonly reader: string; readonly failed: boolean }
  /** The box has given it other firmware; `firmware` is what it says now. */
  | { readonly kind: "reader.firmware"; readonly reader: string; readonly firmware: string }
  | {
    /** The store was corrupt, set aside as `file`, and made anew with the next epoch. */
    readonly kind: "journal.replaced";
    readonly file: string;
    readonly detail: string;
  }
  | {
    /** Unsynced events were given up by the lane's declared policy. */
    readonly kind: "journal.dropped";
    readonly lane: Lane;
    readonly firstSeq: number;
    readonly lastSeq: number;
  }
  | {
    /** The doors stood still for `deadMs`, and outputs went to their on-crash state meanwhile. */
    readonly kind: "box.stalled";
    /** Whole ms. */
    readonly deadMs: number;
  }
  // command
  | {
    readonly kind: "command.result";
    readonly id: string;
    readonly outcome: CommandOutcome;
    /** For a person, why it was refused or failed. */
    readonly detail?: string;
  }
  | {
    readonly kind: "door.mode";
    readonly door: string;
    readonly mode: DoorMode;
  }
  | {
    /** A siren or beacon was silenced while its alarms stand. */
    readonly kind: "signal.silenced";
    readonly signal: string;
    readonly by: "input" | "command";
  }
  | { readonly kind: "policy.applied"; readonly version: number }
  | { readonly kind: "policy.refused"; readonly version: number; readonly detail: string }
  // telemetry
  | { readonly kind: "box.started"; readonly version: string }
  | { readonly kind: "box.stopped" }
  | { readonly kind: "reader.online"; readonly reader: string; readonly firmware?: string }
  | { readonly kind: "expander.online"; readonly expander: string }
  | {
    /** A port, reader or other device was plugged in or pulled out. */
    readonly kind: "device.attached" | "device.detached";
    /** What names it across reboots: `/dev/serial/by-id/…`. */
    readonly device: string;
    /** Maker and model as it says. */
    readonly description: string;
  }
  | {
    readonly kind: "sensor.reading";
    readonly sensor: string;
    readonly value: number;
    /** UCUM: `Cel`, `lx`, `%`. */
    readonly unit: string;
  }
  | { readonly kind: "reader.keys"; readonly reader: string; readonly count: number }
  | { readonly kind: "output.changed"; readonly output: string; readonly active: boolean }
  | { readonly kind: "input.changed"; readonly input: string; readonly active: boolean };

/** What is wrong with the wires of a supervised input. */
export const INPUT_FAULT_STATES = ["open", "short", "contradiction", "none"] as const;

/** One of {@link INPUT_FAULT_STATES}. */
export type InputFaultState = typeof INPUT_FAULT_STATES[number];

/** How a command ended. `replayed`, `expired` and `refused` had no effect on any door. */
export type CommandOutcome = "done" | "refused" | "expired" | "failed";

/** Every `kind` there is. */
export type BoxEventKind = BoxEvent["kind"];

/** The lane of each kind. */
export const LANE_OF: Readonly<Record<BoxEventKind, Lane>> = {
  "access.granted": "access",
  "access.denied": "access",
  "door.unlocked": "access",
  "door.relocked": "access",
  "door.opened": "access",
  "door.closed": "access",
  "door.passed": "access",
  "access.unused": "access",
  "patrol.read": "access",
  "door.forced": "alarm",
  "door.held": "alarm",
  "door.secured": "alarm",
  "release.activated": "alarm",
  "release.cleared": "alarm",
  "door.tailgated": "alarm",
  "emergency.raised": "alarm",
  "emergency.cleared": "alarm",
  "input.fault": "alarm",
  "expander.offline": "alarm",
  "reader.offline": "alarm",
  "reader.tamper": "alarm",
  "reader.power": "alarm",
  "journal.replaced": "alarm",
  "journal.dropped": "alarm",
  "box.stalled": "alarm",
  "command.result": "command",
  "reader.firmware": "command",
  "door.mode": "command",
  "signal.silenced": "command",
  "policy.applied": "command",
  "policy.refused": "command",
  "box.started": "telemetry",
  "box.stopped": "telemetry",
  "reader.online": "telemetry",
  "expander.online": "telemetry",
  "device.attached": "telemetry",
  "device.detached": "telemetry",
  "sensor.reading": "telemetry",
  "reader.keys": "telemetry",
  "output.changed": "telemetry",
  "input.changed": "telemetry",
};

/** When an event happened, as far as the box knows. */
export interface EventStamp {
  /** Wall time in ms since 1970; may be wrong, see `clock`. */
  readonly wallMs: number;
  /** Monotonic time in whole ms since the system's boot. */
  readonly monotonicMs: number;
  /** Counts the starts of the box process, from 1; grows over the life of the data folder. */
  readonly boot: number;
  /** Whether `wallMs` was disciplined at that time. */
  readonly clock: WallQuality;
}

/** An event with its stamp, as it stands in the journal. */
export type RecordedEvent = EventStamp & { readonly event: BoxEvent };

/** Where an event stands. With the box's id it is unique for ever. */
export interface EventId {
  /** Grows when the store is made anew. */
  readonly epoch: number;
  readonly lane: Lane;
  /** Contiguous in its lane and epoch, from 1. */
  readonly seq: number;
}
