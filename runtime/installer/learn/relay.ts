import type { OutputLine } from "../../../drivers/contract.ts";
import type { Clock, GpioHost } from "../../../hal/mod.ts";
import { DRIVE_MS } from "../io/bench.ts";

/** Drives a reader's relay for {@link DRIVE_MS}; it is released again whatever happens. */
export async function clickRelay(
  output: OutputLine,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  try {
    output.set(true, { revertAfterMs: DRIVE_MS });
    await clock.sleep(DRIVE_MS, signal);
  } finally {
    output.set(false);
  }
}

/** The same for a GPIO line, which is taken for that time only. @throws `HalError`. */
export async function clickLine(
  gpio: GpioHost,
  settings: { readonly chip: string; readonly line: number; readonly activeLow: boolean },
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  await using line = await gpio.request({ ...settings, direction: "output" }, signal);
  try {
    line.write(true);
    await clock.sleep(DRIVE_MS, signal);
  } finally {
    line.write(false);
  }
}
