import type { Clock, DeviceInventory } from "../../hal/mod.ts";
import type { BoxEvent } from "../../sync/wire/mod.ts";
import type { Log } from "../log.ts";

/** A loose plug comes and goes many times a second; beyond this many a minute only their number is logged. */
const CHANGES_A_MINUTE_MAX = 30;
const MINUTE_MS = 60_000;

/** Records each device of the machine that is plugged in or pulled out, until `signal` aborts. */
export async function recordPlugs(
  inventory: DeviceInventory,
  { clock, log, record }: {
    readonly clock: Clock;
    readonly log: Log;
    readonly record: (event: BoxEvent) => void;
  },
  signal: AbortSignal,
): Promise<void> {
  let fromMs = -Infinity;
  let count = 0;
  for await (const { change, device } of inventory.watch(signal)) {
    const nowMs = clock.monotonicMs();
    if (nowMs - fromMs >= MINUTE_MS) {
      if (count > CHANGES_A_MINUTE_MAX) {
        log.warn("devices came and went too often to be recorded; look for a loose plug", {
          changes: count - CHANGES_A_MINUTE_MAX,
        });
      }
      [fromMs, count] = [nowMs, 0];
    }
    if (++count > CHANGES_A_MINUTE_MAX) continue;
    const { stable, description, path } = device;
    log.info(`a device was ${change}`, { device: stable, path, description });
    record({ kind: `device.${change}`, device: stable, description });
  }
}
