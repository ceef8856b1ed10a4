import { DRIVERS } from "../../drivers/registry.ts";
import { configHash } from "../../ota/config/mod.ts";
import { notePaths, readNote } from "../../ota/stand_in/mod.ts";
import type { Vitals } from "../api/mod.ts";
import { ConfigError, parseBoxConfig, type ResolvedConfig } from "../config/mod.ts";
import type { StandIn, StoredPolicy } from "../policy/mod.ts";
import { loadConfig } from "./check.ts";

/** The configuration that a box starts with, and where it is from. */
export interface ChosenConfig {
  readonly config: ResolvedConfig;
  /** The district's bundle; empty for the file at the box. */
  readonly bundle: string;
  /** Why the one on trial was not taken. */
  readonly fault?: string;
}

/**
 * What the district has on trial, else what it had confirmed, else the file at the box; the file also when
 * it was changed since. One of the district's with faults is not taken: a door opens all the same.
 *
 * @throws as {@link loadConfig} when the file at the box is to be taken.
 */
export async function chooseConfig(path: string, updates: string): Promise<ChosenConfig> {
  const { trial, good } = notePaths(updates, "config");
  let fault: string | undefined;
  for (const place of [trial, good]) {
    const note = readNote(place);
    if (note?.text === undefined) continue;
    if (note.base !== configHash(await Deno.readTextFile(path))) continue;
    try {
      const config = parseBoxConfig(note.text, path, DRIVERS);
      return { config, bundle: note.sha256, ...fault === undefined ? {} : { fault } };
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      if (place === trial) fault = error.message;
    }
  }
  const config = await loadConfig(path);
  return { config, bundle: "", ...fault === undefined ? {} : { fault } };
}

/** What the district has on trial for the settings of the policy, then what it had confirmed. */
export function standInsFrom(updates: string): readonly StandIn[] {
  const { trial, good } = notePaths(updates, "policy");
  return [trial, good].flatMap((place) => {
    const note = readNote(place);
    if (note?.text === undefined) return [];
    return [{ bundle: note.sha256, base: note.base, text: note.text }];
  });
}

/** What a box says of the settings that it decides by. */
export function settingsOf(policy: StoredPolicy | undefined): Vitals["policy"] {
  if (policy === undefined) return { settings: "", bundle: "" };
  const { settings, bundle, fault } = policy;
  return { settings, bundle, ...fault === undefined ? {} : { fault } };
}
