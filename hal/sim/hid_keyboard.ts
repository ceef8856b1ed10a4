/** Usage of each character's key on a US keyboard (HID Usage Tables 1.12, chapter 10), and whether shift is held. */
const KEYS: ReadonlyMap<string, readonly [usage: number, shift: boolean]> = new Map([
  ...run("abcdefghijklmnopqrstuvwxyz", 4, false),
  ...run("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 4, true),
  ...run("1234567890\n", 30, false),
  ...run("!@#$%^&*()", 30, true),
  ...run("\t -=[]\\", 43, false),
  ...run(";'`,./", 51, false),
  ...run(':"~<>?', 51, true),
  ["_", [45, true]],
  ["+", [46, true]],
]);

function run(
  characters: string,
  firstUsage: number,
  shift: boolean,
): [string, readonly [number, boolean]][] {
  return Array.from(characters, (character, i) => [character, [firstUsage + i, shift]]);
}

/** How a simulated keyboard reader sends. */
export interface KeyboardReportOptions {
  /** Sent before each report, by readers that number them. */
  readonly reportId?: number;
  /** Sends each key's release only together with the next key's press, as hasty readers do. */
  readonly rollover?: boolean;
}

/**
 * The boot-protocol reports (USB HID 1.11, appendix B.1) by which a keyboard reader types `text`: a
 * press and a release each. `\n` is Enter, `\t` Tab.
 *
 * @throws RangeError for a character that a US keyboard has no key for.
 */
export function keyboardReports(text: string, options: KeyboardReportOptions = {}): Uint8Array[] {
  const start = options.reportId === undefined ? [] : [options.reportId];
  const report = (modifiers: number, usage: number) =>
    Uint8Array.of(...start, modifiers, 0, usage, 0, 0, 0, 0, 0);
  const reports: Uint8Array[] = [];
  let lastUsage = 0;
  for (const character of text) {
    const key = KEYS.get(character);
    if (key === undefined) throw new RangeError(`no key types ${JSON.stringify(character)}`);
    const [usage, shift] = key;
    if (usage === lastUsage && options.rollover) reports.push(report(0, 0));
    reports.push(report(shift ? 0x02 : 0, usage));
    if (!options.rollover) reports.push(report(0, 0));
    lastUsage = usage;
  }
  if (options.rollover) reports.push(report(0, 0));
  return reports;
}
