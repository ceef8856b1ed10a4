/**
 * Answers of the hawkBit DDI API (https://eclipse.dev/hawkbit/rest-api/ddi/), as far as a box needs
 * them. Nobody's trust rests on them: what they lead to is verified by `ota/trust`.
 *
 * @module
 */
import * as v from "valibot";

const LINK_CHARS_MAX = 2_048;
const link = v.object({ href: v.pipe(v.string(), v.maxLength(LINK_CHARS_MAX)) });

/** The poll's. */
export const PollSchema = v.object({
  config: v.object({
    polling: v.object({
      sleep: v.pipe(v.string(), v.regex(/^\d{2}:\d{2}:\d{2}$/, "expected HH:MM:SS")),
    }),
  }),
  _links: v.optional(
    v.object({
      deploymentBase: v.optional(link),
      cancelAction: v.optional(link),
      configData: v.optional(link),
    }),
    {},
  ),
});

/** `deploymentBase`'s. A deployment of Gatehouse's is one file. */
export const DeploymentSchema = v.object({
  deployment: v.object({
    maintenanceWindow: v.optional(v.picklist(["available", "unavailable"])),
    chunks: v.pipe(
      v.array(v.object({
        part: v.pipe(v.string(), v.maxLength(64)),
        version: v.pipe(v.string(), v.maxLength(64)),
        name: v.pipe(v.string(), v.minLength(1), v.maxLength(255)),
      })),
      v.length(1, "expected one chunk"),
    ),
  }),
});

/** What the district wants installed; not verified yet. */
export interface Deployment {
  /** First segment of the path: `app`, `os`, … */
  readonly kind: string;
  readonly version: string;
  /** The target's path in the repository. */
  readonly path: string;
  /** False while it may be brought, but not switched to. */
  readonly windowOpen: boolean;
}
