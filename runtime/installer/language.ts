/** Languages of what the installer's commands say. */
export const LANGUAGES = ["zh", "en"] as const;
/** One of them. */
export type Language = typeof LANGUAGES[number];

/** A sentence in each language. */
export type Text = Readonly<Record<Language, string>>;

/** The language of `value` as `LANG` and `LC_ALL` write it: `zh_CN.UTF-8`, `en_GB`. English for others. */
export function languageOf(value: string | undefined): Language {
  return value?.toLowerCase().startsWith("zh") ? "zh" : "en";
}

/** Both languages at once, for data that is shown later. */
export function text(zh: string, en: string): Text {
  return { zh, en };
}

/** The same in both languages: names, numbers. */
export function same(value: string): Text {
  return { zh: value, en: value };
}

/** Columns that `value` takes in a terminal: Chinese characters take two. */
export function columns(value: string): number {
  let count = 0;
  for (const character of value) count += WIDE.test(character) ? 2 : 1;
  return count;
}

/** `value` with blanks behind it, `width` columns in all. */
export function padColumns(value: string, width: number): string {
  return value + " ".repeat(Math.max(0, width - columns(value)));
}

/** East Asian wide characters (UAX #11), as far as Chinese text has them. */
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6]/u;
