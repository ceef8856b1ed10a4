/**
 * What the updater leaves for the box of its configuration: the box reads it at its start, and nothing
 * else of the updater's.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import * as v from "valibot";
import { writeFileDurably } from "../../hal/mod.ts";

/** A box.yaml of the largest box has some kilobytes. */
export const CONFIG_BYTES_MAX: number = 256 << 10;
/** Escaped in JSON it may be several times as long. */
const NOTE_BYTES_MAX = 8 * CONFIG_BYTES_MAX;

const hash = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const NoteSchema = v.strictObject({
  /** The bundle that it is from. */
  sha256: hash,
  /** The box.yaml that it stands in for: changed at the box since, the box's own is taken. */
  base: hash,
  /** Missing when the bundle has nothing for this box. */
  yaml: v.exactOptional(v.pipe(v.string(), v.maxLength(CONFIG_BYTES_MAX))),
});

/** A configuration from the district. */
export type ConfigNote = Readonly<v.InferOutput<typeof NoteSchema>>;

/** Where the one on trial and the one that stays lie, in the updater's folder. */
export function notePaths(updates: string): { readonly trial: string; readonly good: string } {
  const dir = join(updates, "config");
  return { trial: join(dir, "trial.json"), good: join(dir, "good.json") };
}

/** SHA-256 of a box.yaml, in hex. */
export function configHash(yaml: string): string {
  return createHash("sha256").update(yaml).digest("hex");
}

/** The note at `path`; one that is missing or spoilt is none. */
export function readNote(path: string): ConfigNote | undefined {
  try {
    if (Deno.statSync(path).size > NOTE_BYTES_MAX) return undefined;
    return v.parse(NoteSchema, JSON.parse(Deno.readTextFileSync(path)));
  } catch {
    return undefined;
  }
}

/** Leaves a note; it is durable on return. */
export function writeNote(path: string, note: ConfigNote): void {
  writeFileDurably(path, JSON.stringify(note));
}
