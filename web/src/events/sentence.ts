import type { EventView } from "../api/mod.ts";
import type { Messages, Sentence } from "../i18n/mod.ts";

/** How an event is coloured. */
export type Tone = "good" | "bad" | "alarm" | "calm" | "command" | "technical";

/** What happened, in words. */
export function sentenceOf(view: EventView, t: Messages): Sentence {
  const { event } = view;
  const s = t.sentence;
  switch (event.kind) {
    case "access.granted":
      return s.granted(person(view, event.cardholder, t), event.door);
    case "access.denied": {
      const reason = t.denial[event.reason];
      return event.cardholder === undefined && view.cardholderName === undefined
        ? s.deniedCard(event.door, reason)
        : s.denied(person(view, event.cardholder, t), event.door, reason);
    }
    case "door.unlocked":
      return s.unlocked(event.door, t.causes[event.cause]);
    case "door.relocked":
      return s.relocked(event.door);
    case "door.opened":
      return s.opened(event.door);
    case "door.closed":
      return s.closed(event.door);
    case "door.passed":
      return s.passed(event.door, t.directions[event.direction]);
    case "door.tailgated":
      return s.tailgated(event.door, String(event.count));
    case "access.unused":
      return event.cardholder === undefined
        ? s.unusedOpening(event.door)
        : s.unused(person(view, event.cardholder, t), event.door);
    case "emergency.raised":
      return s.emergency(event.input);
    case "emergency.cleared":
      return event.by === "key"
        ? s.emergencyClearedKey(event.input)
        : s.emergencyClearedCommand(event.input);
    case "signal.silenced":
      return s.silenced(event.signal);
    case "patrol.read":
      return event.baton === undefined
        ? s.patrol(event.tag, event.source)
        : s.patrolBaton(event.tag, event.baton);
    case "input.fault":
      return event.fault === "none"
        ? s.inputMended(event.input)
        : s.inputFault(event.input, t.inputFaults[event.fault]);
    case "expander.offline":
      return s.expanderOffline(event.expander);
    case "expander.online":
      return s.expanderOnline(event.expander);
    case "device.attached":
      return s.attached(event.device, event.description);
    case "device.detached":
      return s.detached(event.device, event.description);
    case "sensor.reading":
      return s.reading(event.sensor, `${event.value} ${event.unit}`);
    case "door.forced":
      return s.forced(event.door);
    case "door.held":
      return s.held(event.door);
    case "door.secured":
      return s.secured(event.door);
    case "release.activated":
      return s.release(event.input);
    case "release.cleared":
      return s.releaseCleared(event.input);
    case "reader.offline":
      return s.readerOffline(event.reader, event.reason);
    case "reader.online":
      return s.readerOnline(event.reader);
    case "reader.tamper":
      return event.active ? s.tamper(event.reader) : s.tamperCleared(event.reader);
    case "reader.power":
      return event.failed ? s.powerFailed(event.reader) : s.powerBack(event.reader);
    case "reader.firmware":
      return s.readerFirmware(event.reader, event.firmware);
    case "journal.replaced":
      return s.journalReplaced(event.file, event.detail);
    case "journal.dropped":
      return s.journalDropped(String(event.lastSeq - event.firstSeq + 1), t.lanes[event.lane]);
    case "command.result":
      return event.detail === undefined
        ? s.command(t.command.states[event.outcome])
        : s.commandDetail(t.command.states[event.outcome], event.detail);
    case "door.mode":
      return s.mode(event.door, t.modes[event.mode]);
    case "policy.applied":
      return s.policyApplied(String(event.version));
    case "policy.refused":
      return s.policyRefused(String(event.version), event.detail);
    case "box.stalled":
      return s.stalled(String(Math.round(event.deadMs / 1_000)));
    case "box.started":
      return s.started(event.version);
    case "box.stopped":
      return s.stopped();
    case "reader.keys":
      return s.keys(event.reader, String(event.count));
    case "output.changed":
      return event.active ? s.outputOn(event.output) : s.outputOff(event.output);
    case "input.changed":
      return event.active ? s.inputOn(event.input) : s.inputOff(event.input);
    default:
      return event satisfies never;
  }
}

function person(view: EventView, id: number | undefined, t: Messages): string {
  return view.cardholderName ?? t.events.unknownPerson(id ?? 0);
}

/** How an event is coloured: who passed and who did not must be told apart at a glance. */
export function toneOf({ event, lane }: EventView): Tone {
  switch (event.kind) {
    case "access.granted":
      return "good";
    case "access.denied":
    case "policy.refused":
      return "bad";
    case "command.result":
      return event.outcome === "done" ? "command" : "bad";
    case "door.secured":
    case "release.cleared":
    case "emergency.cleared":
      return "calm";
    case "reader.tamper":
      return event.active ? "alarm" : "calm";
    case "input.fault":
      return event.fault === "none" ? "calm" : "alarm";
    case "reader.power":
      return event.failed ? "alarm" : "calm";
    default:
      if (lane === "alarm") return "alarm";
      if (lane === "command") return "command";
      return lane === "telemetry" ? "technical" : "calm";
  }
}
