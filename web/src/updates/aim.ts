import type { RolloutRequest } from "../api/mod.ts";

/** Days of the week, Monday first, as a window counts them. */
const EVERY_DAY = [1, 2, 3, 4, 5, 6, 7] as const;
const DATE = /^\d{4}-\d{2}-\d{2}$/;

/** Labels as they are typed, `school=north, canary=yes`; `undefined` when they are not. */
export function parseLabels(text: string): Readonly<Record<string, string>> | undefined {
  const labels: Record<string, string> = {};
  for (const part of pieces(text, /[,，;；\n]+/)) {
    const [, key, value] = /^([^=＝]+)[=＝](.+)$/.exec(part) ?? [];
    if (key === undefined || value === undefined) return undefined;
    labels[key.trim()] = value.trim();
  }
  return labels;
}

/** Dates as they are typed; `undefined` when one is none. */
export function parseDates(text: string): readonly string[] | undefined {
  const dates = pieces(text, /[,，;；、\s]+/);
  const isDate = (date: string) =>
    DATE.test(date) && new Date(`${date}T00:00:00Z`).toJSON()?.startsWith(date);
  return dates.every(isDate) ? dates : undefined;
}

/** What the form says of which boxes and when, as a request has it. */
export function aimOf(
  { labels = "", from = "", to = "", notOn = "" }: {
    readonly labels?: string | undefined;
    readonly from?: string | undefined;
    readonly to?: string | undefined;
    readonly notOn?: string | undefined;
  },
  timezone: string,
): Pick<RolloutRequest, "filter" | "window"> {
  const wanted = parseLabels(labels) ?? {};
  const hasWindow = from !== "" && to !== "";
  return {
    ...Object.keys(wanted).length === 0 ? {} : { filter: { labels: wanted } },
    ...!hasWindow ? {} : {
      window: {
        timezone,
        weekly: [{ days: [...EVERY_DAY], from, to }],
        notOn: parseDates(notOn) ?? [],
      },
    },
  };
}

function pieces(text: string, between: RegExp): string[] {
  return text.split(between).map((part) => part.trim()).filter((part) => part !== "");
}
