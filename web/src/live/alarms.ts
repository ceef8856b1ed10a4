import type { BoxView, EventView } from "../api/mod.ts";
import type { Messages, Sentence } from "../i18n/mod.ts";

/** Something that is not well now. */
export interface ActiveAlarm {
  /** The same as long as it is the same alarm. */
  readonly key: string;
  readonly boxId: string;
  readonly boxName: string;
  readonly sentence: Sentence;
  readonly sinceMs?: number;
  /** People are at risk or a door is open; the rest needs an installer. */
  readonly severe: boolean;
}

/**
 * What is not well now. A box's status is the truth about doors and readers, also over a gap in the
 * events; events tell what no status holds (release, tamper, power) and since when.
 *
 * @param alarms events of the alarm lane, newest first.
 */
export function activeAlarms(
  boxes: readonly BoxView[],
  alarms: readonly EventView[],
  t: Messages,
): ActiveAlarm[] {
  const active: ActiveAlarm[] = [];
  for (const box of boxes) {
    const own = alarms.filter((event) => event.boxId === box.id);
    const base = { boxId: box.id, boxName: box.name };
    const since = (kind: EventView["event"]["kind"], what: string) => {
      const found = own.find(({ event }) =>
        event.kind === kind &&
        ("door" in event ? event.door : "reader" in event ? event.reader : "") === what
      );
      return found === undefined ? {} : { sinceMs: found.wallMs };
    };
    for (const door of box.status?.doors ?? []) {
      if (door.alarm === undefined) continue;
      active.push({
        ...base,
        key: `${box.id}/door/${door.id}/${door.alarm}`,
        sentence: door.alarm === "forced" ? t.sentence.forced(door.id) : t.sentence.held(door.id),
        severe: true,
        ...since(door.alarm === "forced" ? "door.forced" : "door.held", door.id),
      });
    }
    for (const reader of box.online ? box.status?.readers ?? [] : []) {
      if (reader.online) continue;
      active.push({
        ...base,
        key: `${box.id}/reader/${reader.id}`,
        sentence: t.alarm.readerOffline(reader.id),
        severe: false,
        ...since("reader.offline", reader.id),
      });
    }
    active.push(...fromEvents(own, base, t));
  }
  return active.sort((a, b) =>
    Number(b.severe) - Number(a.severe) || (b.sinceMs ?? 0) - (a.sinceMs ?? 0)
  );
}

/** The last word on each release input, tamper switch and power supply. */
function fromEvents(
  newestFirst: readonly EventView[],
  base: { readonly boxId: string; readonly boxName: string },
  t: Messages,
): ActiveAlarm[] {
  const seen = new Set<string>();
  const active: ActiveAlarm[] = [];
  const note = (
    topic: string,
    on: boolean,
    severe: boolean,
    sentence: Sentence,
    sinceMs: number,
  ) => {
    if (seen.has(topic)) return;
    seen.add(topic);
    if (on) active.push({ ...base, key: `${base.boxId}/${topic}`, sentence, severe, sinceMs });
  };
  for (const { event, wallMs } of newestFirst) {
    switch (event.kind) {
      case "release.activated":
      case "release.cleared": {
        const on = event.kind === "release.activated";
        note(`release/${event.input}`, on, true, t.sentence.release(event.input), wallMs);
        break;
      }
      case "reader.tamper":
        note(`tamper/${event.reader}`, event.active, true, t.sentence.tamper(event.reader), wallMs);
        break;
      case "emergency.raised":
      case "emergency.cleared": {
        const on = event.kind === "emergency.raised";
        note(`emergency/${event.input}`, on, true, t.sentence.emergency(event.input), wallMs);
        break;
      }
      case "input.fault": {
        const { input, fault } = event;
        const sentence = fault === "none"
          ? t.sentence.inputMended(input)
          : t.sentence.inputFault(input, t.inputFaults[fault]);
        note(`wire/${input}`, fault !== "none", false, sentence, wallMs);
        break;
      }
      case "reader.power":
        note(
          `power/${event.reader}`,
          event.failed,
          false,
          t.sentence.powerFailed(event.reader),
          wallMs,
        );
        break;
      default: // Doors and readers are told by the status.
    }
  }
  return active;
}
