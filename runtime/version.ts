import config from "../deno.json" with { type: "json" };

/** The version of this program, as `deno.json` has it. */
export const VERSION: string = config.version;

/** No program of this version runs before then, in ms since 1970: the least that time can be. */
export const BUILT_MS: number = Date.UTC(2026, 10, 26);
