import type { Clock, Led } from "../../../hal/mod.ts";

/**
 * Shows `pattern` (ms on, off, on, …) again and again until `signal`; leaves the light on. A pattern of
 * one is a light that is on.
 */
export async function blink(
  led: Led,
  pattern: () => readonly number[],
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  try {
    while (!signal.aborted) {
      const steps = pattern();
      if (steps.length === 1) {
        led.set(true);
        await clock.sleep(STEADY_MS, signal);
        continue;
      }
      for (const [index, ms] of steps.entries()) {
        led.set(index % 2 === 0);
        await clock.sleep(ms, signal);
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    led.set(true);
  }
}

/** How long a steady light is late to change. */
const STEADY_MS = 500;
