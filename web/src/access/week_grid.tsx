import type { ReactNode } from "react";
import type { Interval } from "../api/mod.ts";
import { useMessages } from "../i18n/mod.ts";
import { hoursText, minutesOf, WEEKDAYS, type WeekHours } from "./hours.ts";

const DAY_MINUTES = 24 * 60;
const TICKS = [0, 6, 12, 18, 24];

/** A week at a glance: a bar a day, midnight to midnight. */
export function WeekGrid(
  { week, onHolidays }: { readonly week: WeekHours; readonly onHolidays: readonly Interval[] },
): ReactNode {
  const t = useMessages();
  const rows = [
    ...WEEKDAYS.map((day, index) => ({ name: t.access.days[index]!, intervals: week[day] })),
    { name: t.access.onHolidays, intervals: onHolidays },
  ];
  return (
    <ul className="week">
      {rows.map(({ name, intervals }) => (
        <li key={name}>
          <span className="week-day">{name}</span>
          <span className="week-bar" aria-hidden>
            {intervals.map(({ from, to }) => (
              <i
                key={from}
                style={{
                  left: `${minutesOf(from) * 100 / DAY_MINUTES}%`,
                  width: `${(minutesOf(to) - minutesOf(from)) * 100 / DAY_MINUTES}%`,
                }}
              />
            ))}
          </span>
          <span className="week-text">{hoursText(intervals) || t.access.closed}</span>
        </li>
      ))}
      <li className="week-ticks" aria-hidden>
        <span />
        <span>{TICKS.map((hour) => <b key={hour}>{hour}</b>)}</span>
        <span />
      </li>
    </ul>
  );
}
