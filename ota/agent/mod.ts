/**
 * The box's end of an update: a state machine, and what carries it out.
 *
 * @module
 */
export { type AgentOptions, UpdateAgent } from "./agent.ts";
export { type BackEnd, UpdateFault } from "./back_end.ts";
export {
  type FailureReason,
  FETCH_ATTEMPTS_MAX,
  type LastUpdate,
  resume,
  STAGE_ATTEMPTS_MAX,
  stepUpdate,
  type UpdateEvent,
  type UpdateState,
  type UpdateStep,
  type UpdateTransition,
  type Wanted,
} from "./machine.ts";
