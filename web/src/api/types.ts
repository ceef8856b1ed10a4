/**
 * The district's types under the names the console uses. Types only: nothing of the district is in
 * the bundle.
 *
 * @module
 */
import type {
  BoxView,
  CommandView,
  EventView,
  PolicySettings,
} from "../../../district/api/types.ts";

export type {
  BoxCommand,
  BoxView,
  CardholderPage,
  CardholderView,
  CommandView,
  DoorMode,
  EnrolmentToken,
  EventView,
  ImportReport,
  LiveMessage,
  PolicySettings,
  PublishedView,
  ReleaseView,
  RolloutAuditWord,
  RolloutRequest,
  RolloutView,
  Session,
  TargetView,
} from "../../../district/api/types.ts";

/** A box's last status. */
export type Status = NonNullable<BoxView["status"]>;
/** One door in a status. */
export type DoorStatus = Status["doors"][number];
/** What happened, of an event. */
export type BoxEvent = EventView["event"];
/** A journal's lane. */
export type Lane = EventView["lane"];
/** Why a card was refused. */
export type DenialReason = Extract<BoxEvent, { kind: "access.denied" }>["reason"];
/** Why a door was unlocked. */
export type InputFaultState = Extract<BoxEvent, { kind: "input.fault" }>["fault"];
/** Why a door was unlocked. */
export type UnlockCause = Extract<BoxEvent, { kind: "door.unlocked" }>["cause"];
/** How a command stands. */
export type CommandState = CommandView["state"];
/** Which doors at which times. */
export type AccessLevel = PolicySettings["accessLevels"][number];
/** Weekly hours with holidays. */
export type Schedule = PolicySettings["schedules"][number];
/** A span of days. */
export type Holiday = PolicySettings["holidays"][number];
/** `from` is inside, `to` is not, both HH:MM. */
export type Interval = Schedule["onHolidays"][number];
/** A day of the week. */
export type Weekday = Schedule["weekly"][number]["days"][number];
