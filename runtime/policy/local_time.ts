/**
 * Local time of a box for schedules, fast: the zone's offset is looked up once between two of its
 * transitions (daylight saving), not at every tap.
 *
 * @module
 */

/** A wall time on the local calendar. */
export interface LocalMinute {
  /** Days since 1970-01-01 on the local calendar. */
  readonly epochDay: number;
  /** 0 Monday to 6 Sunday. */
  readonly weekday: number;
  /** 0 to 1,439. */
  readonly minute: number;
}

const DAY_MS = 86_400_000;

/** Converts wall time to local days and minutes. */
export class LocalTime {
  readonly #zone: string;
  #offsetMs = 0;
  #validFromMs = Infinity;
  #validUntilMs = -Infinity;
  #lastUtcMinute = NaN;
  #last: LocalMinute = { epochDay: 0, weekday: 3, minute: 0 };

  /** Local time in `zone`. @throws RangeError when `zone` is no IANA time zone. */
  constructor(zone: string) {
    this.#zone = zone;
    this.#lookUp(0);
  }

  /** Local day and minute at `wallMs` (ms since 1970). */
  at(wallMs: number): LocalMinute {
    // Zones are whole minutes off UTC since 1972, and taps come many to a minute.
    const utcMinute = Math.floor(wallMs / 60_000);
    if (utcMinute === this.#lastUtcMinute) return this.#last;
    if (wallMs < this.#validFromMs || wallMs >= this.#validUntilMs) this.#lookUp(wallMs);
    const localMs = wallMs + this.#offsetMs;
    const epochDay = Math.floor(localMs / DAY_MS);
    this.#lastUtcMinute = this.#offsetMs % 60_000 === 0 ? utcMinute : NaN;
    return this.#last = {
      epochDay,
      // 1970-01-01 was a Thursday.
      weekday: (((epochDay + 3) % 7) + 7) % 7,
      minute: Math.floor((localMs - epochDay * DAY_MS) / 60_000),
    };
  }

  #lookUp(wallMs: number): void {
    const at = Temporal.Instant.fromEpochMilliseconds(wallMs).toZonedDateTimeISO(this.#zone);
    this.#offsetMs = at.offsetNanoseconds / 1e6;
    const next = at.getTimeZoneTransition("next");
    this.#validFromMs = wallMs;
    // A day without a rule's change is looked up again after a year, so that it stays bounded.
    this.#validUntilMs = Math.min(next?.epochMilliseconds ?? Infinity, wallMs + 365 * DAY_MS);
  }
}
