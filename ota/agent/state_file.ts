import * as v from "valibot";
import { writeFileDurably } from "../../hal/mod.ts";
import type { UpdateState } from "./machine.ts";

/** A state has a few hundred bytes; its detail is cut to fit. */
const FILE_BYTES_MAX = 8 << 10;
const DETAIL_CHARS_MAX = 500;

const attempts = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1_000));
const text = v.pipe(v.string(), v.maxLength(DETAIL_CHARS_MAX));
const wanted = v.strictObject({
  version: v.pipe(v.string(), v.maxLength(64)),
  path: v.pipe(v.string(), v.maxLength(255)),
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  action: v.pipe(v.string(), v.maxLength(64)),
});
const reason = v.picklist([
  "refused",
  "unreachable",
  "no-space",
  "spoilt",
  "did-not-start",
  "unhealthy",
  "internal",
]);
const last = v.strictObject({
  wanted,
  outcome: v.picklist(["installed", "failed", "withdrawn"]),
  reason: v.exactOptional(reason),
  detail: v.exactOptional(text),
});
const StateSchema = v.variant("at", [
  v.strictObject({ at: v.literal("idle"), last: v.exactOptional(last) }),
  v.strictObject({ at: v.literal("fetching"), wanted, attempts }),
  v.strictObject({ at: v.literal("staging"), wanted, attempts }),
  v.strictObject({ at: v.literal("waiting"), wanted }),
  v.strictObject({ at: v.literal("switching"), wanted }),
  v.strictObject({ at: v.literal("trial"), wanted }),
  v.strictObject({ at: v.literal("confirming"), wanted }),
  v.strictObject({ at: v.literal("reverting"), wanted, reason, detail: text }),
]);

/**
 * Reads the state at `path`. One that is missing or spoilt counts as idle: a release that was on
 * trial is then never confirmed, and the starter takes it back.
 */
export function readState(path: string): UpdateState {
  try {
    if (Deno.statSync(path).size > FILE_BYTES_MAX) return { at: "idle" };
    return v.parse(StateSchema, JSON.parse(Deno.readTextFileSync(path)));
  } catch {
    return { at: "idle" };
  }
}

/** Bytes kept back for the day on which the disk is full, for then too a state has to be stored. */
const RESERVE_BYTES = 64 << 10;

/** Stores the state; it is durable on return, also on a disk that a release has just filled. */
export function writeState(path: string, state: UpdateState): void {
  const text = JSON.stringify(
    state,
    (key, value) => key === "detail" ? String(value).slice(0, DETAIL_CHARS_MAX) : value,
  );
  try {
    writeFileDurably(path, text);
  } catch (error) {
    try {
      Deno.removeSync(`${path}.reserve`);
    } catch {
      throw error;
    }
    writeFileDurably(path, text);
  }
  keepReserve(`${path}.reserve`);
}

/** Without one it is tried again at the next state. */
function keepReserve(path: string): void {
  try {
    if (Deno.statSync(path).size === RESERVE_BYTES) return;
  } catch {
    // It is not there.
  }
  try {
    writeFileDurably(path, new Uint8Array(RESERVE_BYTES));
  } catch {
    // The disk is full already.
  }
}
