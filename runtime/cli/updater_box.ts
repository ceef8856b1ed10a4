import * as v from "valibot";
import type { Clock } from "../../hal/mod.ts";
import type { BoxHealth } from "../../ota/updater/mod.ts";

/** A box that is busy answers late; one that takes longer does not answer. */
const ANSWER_MS_MAX = 3_000;
const ANSWER_BYTES_MAX = 256 << 10;
/** What the district keeps of one attribute. */
const ATTRIBUTE_CHARS_MAX = 1_024;
const id = v.pipe(v.string(), v.maxLength(64));

const HealthSchema = v.object({
  status: v.object({
    policyVersion: v.number(),
    rssBytes: v.number(),
    doors: v.pipe(
      v.array(v.object({ id, unlocked: v.boolean(), alarm: v.optional(v.string()) })),
      v.maxLength(1_000),
    ),
    readers: v.pipe(v.array(v.object({ id, online: v.boolean() })), v.maxLength(1_000)),
  }),
  vitals: v.object({
    slot: v.pipe(v.string(), v.maxLength(64)),
    alive: v.boolean(),
    journalWritable: v.boolean(),
    journalEpoch: v.number(),
    districtConnected: v.boolean(),
    // A release from before it was told has none.
    config: v.optional(
      v.object({
        bundle: v.pipe(v.string(), v.maxLength(64)),
        fault: v.exactOptional(v.pipe(v.string(), v.maxLength(64 << 10))),
      }),
      { bundle: "" },
    ),
    policy: v.optional(
      v.object({
        settings: v.pipe(v.string(), v.maxLength(64)),
        bundle: v.pipe(v.string(), v.maxLength(64)),
        fault: v.exactOptional(v.pipe(v.string(), v.maxLength(64 << 10))),
      }),
      { settings: "", bundle: "" },
    ),
  }),
});

/** Asks the box at `url` how it is; `undefined` when it does not answer, or not as a box does. */
export function boxProbe(
  url: string,
  clock: Clock,
): (signal: AbortSignal) => Promise<BoxHealth | undefined> {
  return async (signal) => {
    const late = new AbortController();
    const cancel = clock.schedule(ANSWER_MS_MAX, () => late.abort());
    try {
      const response = await fetch(`${url}/healthz`, {
        signal: AbortSignal.any([signal, late.signal]),
        redirect: "error",
      });
      if (Number(response.headers.get("content-length") ?? Infinity) > ANSWER_BYTES_MAX) {
        await response.body?.cancel();
        return undefined;
      }
      const { status, vitals } = v.parse(HealthSchema, await response.json());
      const { policyVersion, rssBytes, doors, readers } = status;
      return {
        ...vitals,
        policyVersion,
        rssBytes,
        readers,
        doors: doors.map(({ id, unlocked, alarm }) => ({
          id,
          busy: unlocked,
          alarm: alarm !== undefined,
        })),
      };
    } catch {
      return undefined;
    } finally {
      cancel();
    }
  };
}

/**
 * What the box at `url` says of the bundles that stand in for its file and its policy's settings, or said
 * last, as attributes for the district.
 */
export function standIns(
  url: string,
  clock: Clock,
): (signal: AbortSignal) => Promise<Readonly<Record<string, string>>> {
  const probe = boxProbe(url, clock);
  let said: Readonly<Record<string, string>> = {};
  return async (signal: AbortSignal) => {
    const health = await probe(signal);
    if (health === undefined) return said;
    const { config, policy } = health;
    const fault = (text = "") => text.slice(0, ATTRIBUTE_CHARS_MAX);
    return said = {
      "config.sha256": config.bundle,
      "config.fault": fault(config.fault),
      "policy.sha256": policy.bundle,
      "policy.fault": fault(policy.fault),
    };
  };
}
