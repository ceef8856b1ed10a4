import type { Cancel, Clock } from "../../hal/mod.ts";
import type { Sensor } from "../../drivers/contract.ts";
import type { BoxEvent } from "../../sync/wire/mod.ts";
import type { SensorRecording } from "../config/mod.ts";

/**
 * Records values of a sensor: the first, and then one that differs enough from the one recorded last,
 * at most every `everyMs`. A change that comes too early is recorded when the time is over, if it still
 * stands. A sensor that is lost is a fault, and not a value.
 */
export function recordSensor(
  id: string,
  sensor: Sensor,
  { deltaMin, everyMs }: SensorRecording,
  clock: Clock,
  record: (event: BoxEvent) => void,
): Cancel {
  let recorded: number | undefined;
  let latest: number | undefined;
  /** Runs while nothing may be recorded. */
  let resting: Cancel | undefined;
  const look = () => {
    if (resting !== undefined || latest === undefined) return;
    if (recorded !== undefined && Math.abs(latest - recorded) < deltaMin) return;
    recorded = latest;
    record({ kind: "sensor.reading", sensor: id, value: latest, unit: sensor.unit });
    resting = clock.schedule(everyMs, () => {
      resting = undefined;
      look();
    });
  };
  const take = (value: number | undefined) => {
    latest = value;
    look();
  };
  const cancel = sensor.onReading(take);
  take(sensor.value());
  return () => {
    cancel();
    resting?.();
  };
}
