import type { AccessLevel, Interval, PolicySettings, Schedule, Weekday } from "../api/mod.ts";

/** Days in the order of the week. */
export const WEEKDAYS: readonly Weekday[] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/** What stands for a schedule that always applies. */
export const ALWAYS = "always";
/** An id of the policy. */
export const ID_PATTERN: RegExp = /^[a-z0-9][a-z0-9._-]{0,63}$/;
/** A door of the policy: main, east-gate/main, east-gate/* or *. */
export const DOOR_PATTERN: RegExp = /^(\*|[a-z0-9._-]{1,64}(\/([a-z0-9._-]{1,64}|\*))?)$/;

const TIME = /^([01]?\d|2[0-3]):([0-5]\d)$|^24:00$/;

/** Each day's hours: how the editor holds a schedule. */
export type WeekHours = Readonly<Record<Weekday, readonly Interval[]>>;

/** Hours as text: `07:30–12:00, 13:30–18:00`. */
export function hoursText(intervals: readonly Interval[]): string {
  return intervals.map(({ from, to }) => `${from}–${to}`).join(", ");
}

/** Reads what {@link hoursText} writes, and what people write instead; `undefined` when it is none. */
export function readHours(text: string): Interval[] | undefined {
  const pieces = text.trim().split(/\s*[,，;；、]\s*/).filter((piece) => piece !== "");
  const intervals: Interval[] = [];
  for (const piece of pieces) {
    const [from, to, ...rest] = piece.split(/\s*(?:-|–|—|~|～|至|到)\s*/).map(time);
    if (from === undefined || to === undefined || rest.length > 0 || from >= to) return undefined;
    intervals.push({ from, to });
  }
  return intervals.sort((a, b) => a.from < b.from ? -1 : 1);
}

function time(text: string): string | undefined {
  const plain = text.trim().replace("：", ":");
  return TIME.test(plain) ? plain.padStart(5, "0") : undefined;
}

/** A schedule's hours, day by day. */
export function weekOf(schedule: Pick<Schedule, "weekly">): WeekHours {
  const week: Record<Weekday, Interval[]> = {
    mon: [],
    tue: [],
    wed: [],
    thu: [],
    fri: [],
    sat: [],
    sun: [],
  };
  for (const { days, intervals } of schedule.weekly) {
    for (const day of days) week[day].push(...intervals);
  }
  for (const day of WEEKDAYS) week[day].sort((a, b) => a.from < b.from ? -1 : 1);
  return week;
}

/** The policy's form of a week: days with the same hours together, closed days left out. */
export function weeklyOf(week: WeekHours): Schedule["weekly"] {
  const groups = new Map<string, { days: Weekday[]; intervals: Interval[] }>();
  for (const day of WEEKDAYS) {
    if (week[day].length === 0) continue;
    const key = hoursText(week[day]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { days: [day], intervals: [...week[day]] });
    else group.days.push(day);
  }
  return [...groups.values()];
}

/** Names of the access levels that use a schedule. */
export function usersOf(settings: PolicySettings, scheduleId: string): readonly string[] {
  const uses = (level: AccessLevel) => level.grants.some((grant) => grant.schedule === scheduleId);
  return settings.accessLevels.filter(uses).map((level) => level.name);
}

/** Minutes from midnight, for drawing. */
export function minutesOf(time: string): number {
  const [hours, minutes] = time.split(":");
  return Number(hours) * 60 + Number(minutes);
}
