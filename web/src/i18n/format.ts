import { nowMs } from "../clock.ts";
import type { Messages } from "./en.ts";
import type { Language } from "./language.tsx";

const formats = new Map<string, Intl.DateTimeFormat>();

function format(
  language: Language,
  name: string,
  options: Intl.DateTimeFormatOptions,
): Intl.DateTimeFormat {
  const key = `${language} ${name}`;
  let found = formats.get(key);
  if (found === undefined) formats.set(key, found = new Intl.DateTimeFormat(language, options));
  return found;
}

/** `07:31:05` in the browser's time zone. */
export function timeOfDay(language: Language, ms: number): string {
  return format(language, "time", {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
  }).format(ms);
}

/** A day with its weekday. */
export function day(language: Language, ms: number): string {
  return format(language, "day", {
    weekday: "short",
    year: "numeric",
    month: "short",
    day: "numeric",
  })
    .format(ms);
}

/** A date in figures. */
export function date(language: Language, ms: number): string {
  return format(language, "date", { year: "numeric", month: "2-digit", day: "2-digit" }).format(ms);
}

/** Everything, with milliseconds and zone: what a tooltip shows. */
export function exactTime(language: Language, ms: number): string {
  return format(language, "exact", {
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    fractionalSecondDigits: 3,
    hourCycle: "h23",
    timeZoneName: "short",
  }).format(ms);
}

/** Date and minute. */
export function shortTime(language: Language, ms: number): string {
  return format(language, "short", {
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  }).format(ms);
}

/** Time of day for today, else date and minute. */
export function briefTime(language: Language, ms: number): string {
  return sameDay(ms, nowMs()) ? timeOfDay(language, ms) : shortTime(language, ms);
}

/** Whether two times are on the same day here. */
export function sameDay(a: number, b: number): boolean {
  return new Date(a).toDateString() === new Date(b).toDateString();
}

/** A span in its largest whole unit. */
export function span(t: Messages, ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return t.time.seconds(seconds);
  if (seconds < 3600) return t.time.minutes(Math.floor(seconds / 60));
  if (seconds < 48 * 3600) return t.time.hours(Math.floor(seconds / 3600));
  return t.time.days(Math.floor(seconds / 86_400));
}
