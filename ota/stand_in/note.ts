/**
 * What the updater leaves for the box of a text that stands in for one that the box has: the box reads it,
 * and nothing else of the updater's.
 *
 * @module
 */
import { join } from "node:path";
import * as v from "valibot";
import { writeFileDurably } from "../../hal/mod.ts";

/** A box.yaml of the largest box has some kilobytes, a district's hours and access levels some hundred. */
export const TEXT_BYTES_MAX: number = 1 << 20;
/** Escaped in JSON it may be several times as long. */
const NOTE_BYTES_MAX = 8 * TEXT_BYTES_MAX;

const NoteSchema = v.strictObject({
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  base: v.pipe(v.string(), v.minLength(1), v.maxLength(64)),
  text: v.exactOptional(v.pipe(v.string(), v.maxLength(TEXT_BYTES_MAX))),
});

/** A text from the district. */
export interface StandInNote {
  /** The bundle that it is from. */
  readonly sha256: string;
  /** What it stands in for: where the box has another one since, that is taken. */
  readonly base: string;
  /** Missing when the bundle has nothing for this box. */
  readonly text?: string;
}

/** Texts of these kinds stand in: a box's configuration, and the settings of its policy. */
export type StandInKind = "config" | "policy";

/** Where the one on trial and the one that stays lie, in the updater's folder. */
export function notePaths(
  updates: string,
  kind: StandInKind,
): { readonly trial: string; readonly good: string } {
  const dir = join(updates, kind);
  return { trial: join(dir, "trial.json"), good: join(dir, "good.json") };
}

/** The note at `path`; one that is missing or spoilt is none. */
export function readNote(path: string): StandInNote | undefined {
  try {
    if (Deno.statSync(path).size > NOTE_BYTES_MAX) return undefined;
    return v.parse(NoteSchema, JSON.parse(Deno.readTextFileSync(path)));
  } catch {
    return undefined;
  }
}

/** Leaves a note; it is durable on return. */
export function writeNote(path: string, note: StandInNote): void {
  writeFileDurably(path, JSON.stringify(note));
}
