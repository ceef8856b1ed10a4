/**
 * Boxes of one network that give each other updates.
 *
 * @module
 */
export { Neighbours, type NeighboursOptions } from "./neighbours.ts";
