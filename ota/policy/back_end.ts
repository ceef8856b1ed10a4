import { UpdateFault } from "../agent/back_end.ts";
import { parsePolicyRelease } from "../manifest/mod.ts";
import { StandInBackEnd, type StandInParts, TEXT_BYTES_MAX } from "../stand_in/mod.ts";
import { settingsText } from "./settings.ts";

/** What the back end of settings is made of. */
export interface PolicyBackEndOptions extends StandInParts {
  /** The district that this box belongs to; without it the one whose key may assign is enough. */
  readonly district?: string;
  /** Which settings the box has from its district; empty without a policy, `undefined` when it does not answer. */
  readonly settings: (signal: AbortSignal) => Promise<string | undefined>;
}

const LOOK_EVERY_MS = 1_000;
/** A box that has just enrolled gets its policy within seconds; one that starts anew is back in as many. */
const POLICY_MS_MAX = 10 * 60_000;

/** Has a box use other settings; it finds them by itself, without a new start. */
export function policyBackEnd(options: PolicyBackEndOptions): StandInBackEnd {
  const { district, settings, ...parts } = options;
  const { clock } = parts;
  return new StandInBackEnd({
    ...parts,
    kind: "policy",
    bundleBytesMax: TEXT_BYTES_MAX,
    check: (custom, path) => {
      const release = parsePolicyRelease(custom);
      if (!path.startsWith(`policy/${release.district}/`)) {
        throw new Error(`it is described as one of district ${release.district}`);
      }
      if (district !== undefined && release.district !== district) {
        throw new Error(`it is for district ${release.district}, this box is of ${district}`);
      }
    },
    adopt: parts.leave,
    changed: "the district's settings were changed",
    read: async (path, signal) => {
      let text: string;
      try {
        text = settingsText(JSON.parse(await Deno.readTextFile(path)));
      } catch (cause) {
        throw new UpdateFault("refused", (cause as Error).message, true, { cause });
      }
      const endMs = clock.monotonicMs() + POLICY_MS_MAX;
      for (;;) {
        const base = await settings(signal);
        signal.throwIfAborted();
        if (base) return { base, text };
        if (clock.monotonicMs() >= endMs) {
          const why = base === undefined ? "the box does not answer" : "the box has no policy";
          throw new UpdateFault("internal", why, false);
        }
        await clock.sleep(LOOK_EVERY_MS, signal);
      }
    },
  });
}
