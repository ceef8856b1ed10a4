/**
 * Where a box stands, for whoever has just put it onto a wall: a page, a light, a line.
 *
 * @module
 */
export { answerStatus } from "./answer.ts";
export { blink } from "./blink.ts";
export type { PageFacts } from "./page.ts";
export { BLINKS, type BoxFacts, type BoxState, boxState, type BoxStateKind } from "./state.ts";
