import { boxProcedures } from "./box.ts";
import { gpioProcedures } from "./gpio.ts";

/** What the host may call. */
export const procedures = {
  ...gpioProcedures,
  ...boxProcedures,
  /** Versions of the kernel and of Deno. */
  versions: () => ({ kernel: Deno.osRelease(), deno: Deno.version.deno }),
};
