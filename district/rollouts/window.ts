/** When devices may switch to what they have fetched, in a place's own time. */
export interface RolloutWindow {
  /** IANA name, such as `Asia/Shanghai`. */
  readonly timezone: string;
  readonly weekly: readonly {
    /** 1 Monday … 7 Sunday (ISO 8601). */
    readonly days: readonly number[];
    /** `HH:MM`. */
    readonly from: string;
    /** `HH:MM`; not after `from`: on the next day. */
    readonly to: string;
  }[];
  /** Dates on which nothing is switched, `YYYY-MM-DD`: exams above all. A night counts to its evening. */
  readonly notOn: readonly string[];
}

/** A district has a handful of intervals and some days of exams. */
export const WINDOW_BOUNDS = { intervals: 32, dates: 200 } as const;

/** Whether devices may switch at `wallMs`. */
export function windowOpen(window: RolloutWindow, wallMs: number): boolean {
  const now = Temporal.Instant.fromEpochMilliseconds(Math.floor(wallMs))
    .toZonedDateTimeISO(window.timezone);
  const time = now.toPlainTime();
  const today = now.toPlainDate();
  return window.weekly.some(({ days, from, to }) => {
    const [begin, end] = [Temporal.PlainTime.from(from), Temporal.PlainTime.from(to)];
    const afterBegin = Temporal.PlainTime.compare(time, begin) >= 0;
    const beforeEnd = Temporal.PlainTime.compare(time, end) < 0;
    const overnight = Temporal.PlainTime.compare(end, begin) <= 0;
    if (!overnight) return afterBegin && beforeEnd && isOn(window, today, days);
    // The evening's part, or what the evening before began.
    return afterBegin && isOn(window, today, days) ||
      beforeEnd && isOn(window, today.subtract({ days: 1 }), days);
  });
}

function isOn(
  { notOn }: RolloutWindow,
  date: Temporal.PlainDate,
  days: readonly number[],
): boolean {
  return days.includes(date.dayOfWeek) && !notOn.includes(date.toString());
}

/** What is wrong with a window's time zone or dates, or `undefined`. */
export function windowFault({ timezone, notOn }: RolloutWindow): string | undefined {
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(timezone);
  } catch {
    return `window.timezone: there is no zone ${timezone.slice(0, 40)}; write Asia/Shanghai`;
  }
  for (const date of notOn) {
    try {
      Temporal.PlainDate.from(date);
    } catch {
      return `window.notOn: ${date.slice(0, 20)} is no date; write 2026-06-07`;
    }
  }
  return undefined;
}
