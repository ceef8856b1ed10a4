/**
 * A publisher with keys in memory, a source that a test can spoil, and the way of an update.
 *
 * @module
 */
import type { UpdateState } from "../agent/mod.ts";

export { memoryKey, Publisher } from "./publisher.ts";
export { type Answer, FolderSource } from "./folder_source.ts";

/** What a good update goes through, in this order. */
export const WAY: readonly UpdateState["at"][] = [
  ...["fetching", "staging", "waiting", "switching", "trial", "confirming", "idle"] as const,
];
