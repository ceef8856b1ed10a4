import { type Language, padColumns, type Text } from "../language.ts";

/** How bad a finding is, best first. */
export const SEVERITIES = ["ok", "info", "warning", "fault"] as const;
/** One of them: `fault` keeps something from working, `warning` will, `info` is worth knowing. */
export type Severity = typeof SEVERITIES[number];

/** What is looked at. Ids are stable: programs and the manual name them. */
export type Check =
  | "box-running"
  | "configuration"
  | "clock-battery"
  | "clock-time"
  | "data-folder"
  | "data-space"
  | "flash-wear"
  | "memory"
  | "power"
  | "watchdog"
  | "district"
  | "serial-port"
  | "serial-line"
  | "reader"
  | "gpio-chip"
  | "gpio-line"
  | "input"
  | "wiegand"
  | "hid"
  | "camera"
  | "device";

/** One thing that was looked at, what was found, and what to do about it. */
export interface Finding {
  readonly check: Check;
  /** The device, file or id of `box.yaml` that it is about. */
  readonly subject: string;
  readonly severity: Severity;
  readonly what: Text;
  /** Absent where nothing is to do. */
  readonly advice?: Text;
}

/** Worst first, otherwise in the order in which they were found. */
export function bySeverity(findings: readonly Finding[]): Finding[] {
  const rank = (finding: Finding) => SEVERITIES.indexOf(finding.severity);
  return findings.toSorted((a, b) => rank(b) - rank(a));
}

const LABELS: Readonly<Record<Severity, Text>> = {
  ok: { zh: "正常", en: "ok" },
  info: { zh: "提示", en: "note" },
  warning: { zh: "警告", en: "warning" },
  fault: { zh: "故障", en: "FAULT" },
};

/** One finding as lines for a terminal; the advice stands under what was found. */
export function findingLines(finding: Finding, language: Language): string[] {
  const label = padColumns(LABELS[finding.severity][language], 8);
  const first = `${label} ${finding.subject}: ${finding.what[language]}`;
  return finding.advice === undefined
    ? [first]
    : [first, `${" ".repeat(9)}→ ${finding.advice[language]}`];
}

/** The last line: how many of each. */
export function summaryLine(findings: readonly Finding[], language: Language): string {
  const count = (severity: Severity) => findings.filter((f) => f.severity === severity).length;
  const [faults, warnings] = [count("fault"), count("warning")];
  return language === "zh"
    ? `共检查 ${findings.length} 项：故障 ${faults}，警告 ${warnings}`
    : `${findings.length} things looked at: ${faults} faults, ${warnings} warnings`;
}
