import * as v from "valibot";
import { type PolicySettings, PolicySettingsSchema, settingsFaults } from "../../sync/wire/mod.ts";
import { TEXT_BYTES_MAX } from "../stand_in/mod.ts";

/** Settings as a bundle has them. @throws an `Error` that names what is wrong with them. */
export function settingsText(raw: unknown): string {
  const parsed = v.safeParse(PolicySettingsSchema, raw, { abortEarly: true });
  if (!parsed.success) {
    const issue = parsed.issues[0];
    throw new Error(`settings: ${v.getDotPath(issue) ?? "top level"}: ${issue.message}`);
  }
  const settings: PolicySettings = parsed.output;
  const faults = settingsFaults(settings, []);
  if (faults.length > 0) throw new Error(`settings: ${faults.join("; ")}`);
  const text = JSON.stringify(settings);
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > TEXT_BYTES_MAX) throw new Error("settings: they are longer than 1 MB");
  return text;
}
