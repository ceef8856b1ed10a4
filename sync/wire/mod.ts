/**
 * What a box and its district say to each other: events, policy, messages, and how they are
 * encoded, chained and signed.
 *
 * @module
 */
export * from "./chain.ts";
export * from "./codec.ts";
export * from "./event_codec.ts";
export * from "./events.ts";
export * from "./http_signature.ts";
export * from "./identity.ts";
export * from "./messages.ts";
export * from "./parse.ts";
export * from "./policy.ts";
export * from "./settings.ts";
export * from "./token.ts";
export * from "./zstd.ts";
