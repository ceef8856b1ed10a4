/**
 * Door control: a pure state machine and the controller that carries it out.
 *
 * @module
 */
export * from "./barrier.ts";
export * from "./controller.ts";
export * from "./machine.ts";
export * from "./turnstile.ts";
