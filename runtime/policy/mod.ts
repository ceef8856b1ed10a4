/**
 * Policy on the box: kept in `policy.db`, compiled to memory, asked by `decide`.
 *
 * @module
 */
export * from "./applier.ts";
export * from "./card_key.ts";
export * from "./compile.ts";
export * from "./decide.ts";
export * from "./keeper.ts";
export * from "./local_time.ts";
export * from "./stand_in.ts";
export * from "./store.ts";
