/**
 * A process beside the box that keeps its outputs safe while it is dead.
 *
 * @module
 */
export { type ClaimedLine, GuardClient, type GuardedLine, type GuardOptions } from "./client.ts";
export { HEARTBEAT_MS_MAX, HEARTBEAT_MS_MIN } from "./messages.ts";
export { startGuard } from "./start.ts";
