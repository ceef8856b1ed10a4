import { DRIVERS } from "../../drivers/registry.ts";
import { configHash, notePaths, readNote } from "../../ota/config/note.ts";
import { ConfigError, parseBoxConfig, type ResolvedConfig } from "../config/mod.ts";
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
  const { trial, good } = notePaths(updates);
  let fault: string | undefined;
  for (const place of [trial, good]) {
    const note = readNote(place);
    if (note?.yaml === undefined) continue;
    if (note.base !== configHash(await Deno.readTextFile(path))) continue;
    try {
      const config = parseBoxConfig(note.yaml, path, DRIVERS);
      return { config, bundle: note.sha256, ...fault === undefined ? {} : { fault } };
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      if (place === trial) fault = error.message;
    }
  }
  const config = await loadConfig(path);
  return { config, bundle: "", ...fault === undefined ? {} : { fault } };
}
