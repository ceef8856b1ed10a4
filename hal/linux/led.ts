import { join } from "node:path";
import { HalError, type Led } from "../mod.ts";

/** What a board calls the light that is its program's: a Raspberry Pi's, by its kernel's age. */
const NAMES = ["ACT", "led0"] as const;

/**
 * The board's own light (Documentation/leds/leds-class.rst), taken from the kernel; `undefined` when the
 * board has none, or it is not this program's.
 */
export function boardLed(folder = "/sys/class/leds"): Led | undefined {
  for (const name of NAMES) {
    const path = join(folder, name);
    try {
      const on = Deno.readTextFileSync(join(path, "max_brightness")).trim();
      Deno.writeTextFileSync(join(path, "trigger"), "none");
      return new SysfsLed(join(path, "brightness"), on);
    } catch {
      continue;
    }
  }
  return undefined;
}

class SysfsLed implements Led {
  readonly #file: string;
  readonly #on: string;

  constructor(file: string, on: string) {
    this.#file = file;
    this.#on = on;
  }

  set(on: boolean): void {
    try {
      Deno.writeTextFileSync(this.#file, on ? this.#on : "0");
    } catch (cause) {
      throw new HalError("io", `${this.#file}: ${(cause as Error).message}`, { cause });
    }
  }
}
