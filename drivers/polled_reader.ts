/**
 * Readers that are asked again and again what lies on them.
 *
 * @module
 */
import * as v from "valibot";
import { type Clock, HalError } from "../hal/mod.ts";
import type { OfflineReason } from "./contract.ts";
import type { PlainReader } from "./plain_reader.ts";

/** Questions that go unanswered in a row before the reader counts as gone. */
const MISSES_MAX = 3;
/** How often a reader that is gone is asked. */
const GONE_POLL_MS = 1_000;

/** How long and how often, in whole ms. */
export const msSchema = (
  least: number,
  most: number,
): v.GenericSchema<unknown, number> =>
  v.pipe(
    v.number(`expected ${least} to ${most} ms`),
    v.integer("expected whole ms"),
    v.minValue(least, `expected ${least} to ${most} ms`),
    v.maxValue(most, `expected ${least} to ${most} ms`),
  );

/**
 * Calls `poll` each `pollMs` until the line is lost. `poll` says that the reader is there by
 * `reader.up`; three `timeout`s or `protocol` faults in a row and it is not.
 */
export async function keepPolling(
  reader: PlainReader,
  clock: Clock,
  pollMs: number,
  poll: () => Promise<void>,
  signal: AbortSignal,
): Promise<never> {
  let misses = 0;
  for (;;) {
    try {
      await poll();
      misses = 0;
    } catch (error) {
      if (signal.aborted || !(error instanceof HalError)) throw error;
      if (error.kind !== "timeout" && error.kind !== "protocol") throw error;
      const reason: OfflineReason = error.kind === "timeout" ? "no-reply" : "protocol";
      reader.limited.warn(error.message);
      if (++misses >= MISSES_MAX) reader.down(reason);
    }
    await clock.sleep(misses >= MISSES_MAX ? GONE_POLL_MS : pollMs, signal);
  }
}
