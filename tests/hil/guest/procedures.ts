import { boxProcedures } from "./box.ts";
import { gpioProcedures } from "./gpio.ts";
import { i2cProcedures } from "./i2c.ts";
import { keyboardProcedures } from "./keyboard.ts";

/** What the host may call. */
export const procedures = {
  ...gpioProcedures,
  ...boxProcedures,
  ...keyboardProcedures,
  ...i2cProcedures,
  /** Versions of the kernel and of Deno. */
  versions: () => ({
    kernel: Deno.osRelease(),
    deno: Deno.version.deno,
    arch: Deno.build.arch,
  }),
};
