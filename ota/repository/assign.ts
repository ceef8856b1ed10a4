import { type Metadata, type TargetFile, Targets } from "@tufjs/models";
import type { RoleKey } from "./keys.ts";
import { bytesOf, signed, SPEC_VERSION, tufTime } from "./metadata.ts";

/** What one box is to install. */
export interface AssignmentPlan {
  readonly boxId: string;
  /** Larger than the box's last one. */
  readonly version: number;
  readonly expiresMs: number;
  /** As the repository names them. */
  readonly targets: readonly TargetFile[];
}

/**
 * Signs an assignment: targets metadata of a role that `targets` delegates with no paths, with the
 * box's id among its fields. It is sent to its box alone, not published.
 */
export async function signAssignment(
  { boxId, version, expiresMs, targets }: AssignmentPlan,
  keys: readonly RoleKey[],
): Promise<Uint8Array<ArrayBuffer>> {
  const metadata: Metadata<Targets> = await signed(
    new Targets({
      version,
      specVersion: SPEC_VERSION,
      expires: tufTime(expiresMs),
      targets: Object.fromEntries(targets.map((target) => [target.path, target])),
      unrecognizedFields: { box: boxId },
    }),
    keys,
  );
  return bytesOf(metadata);
}
