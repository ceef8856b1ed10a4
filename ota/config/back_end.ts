import { createHash } from "node:crypto";
import { UpdateFault } from "../agent/back_end.ts";
import { parseConfigRelease } from "../manifest/mod.ts";
import { StandInBackEnd, type StandInParts } from "../stand_in/mod.ts";
import { findInBundle } from "./bundle.ts";

/** What the back end of configurations is made of. */
export interface ConfigBackEndOptions extends StandInParts {
  /** The box's own box.yaml. */
  readonly config: string;
  readonly boxId: string;
  /** Asks for a new start of the box, and of the updater. */
  readonly restart: () => Promise<void>;
}

/** Some thousand boxes at some kilobytes. */
const BUNDLE_BYTES_MAX = 64 << 20;

/** Gives a box another box.yaml: the next start reads it. */
export function configBackEnd(options: ConfigBackEndOptions): StandInBackEnd {
  const { config, boxId, restart, ...parts } = options;
  return new StandInBackEnd({
    ...parts,
    kind: "config",
    bundleBytesMax: BUNDLE_BYTES_MAX,
    check: parseConfigRelease,
    adopt: restart,
    changed: "its own box.yaml was changed",
    read: async (path) => {
      using file = await Deno.open(path);
      const text = await findInBundle(file.readable, boxId).catch((cause) => {
        const why = `it is no bundle of configurations: ${(cause as Error).message}`;
        throw new UpdateFault("refused", why, true, { cause });
      });
      const base = configHash(await Deno.readTextFile(config));
      return { base, ...text === undefined ? {} : { text } };
    },
  });
}

/** SHA-256 of a box.yaml, in hex. */
export function configHash(yaml: string): string {
  return createHash("sha256").update(yaml).digest("hex");
}
