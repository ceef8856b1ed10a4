/**
 * The district's updates, as a box asks for them: hawkBit's DDI, with the signed assignment and the
 * TUF repository beside it.
 *
 * @module
 */
export { DdiClient, DdiError, type DistrictCalls, type Execution, type Poll } from "./client.ts";
export type { Deployment } from "./schemas.ts";
