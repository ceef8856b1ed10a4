import type { Clock } from "../hal/mod.ts";
import { DistrictClient } from "./client.ts";
import type { BoxIdentity } from "./identity_store.ts";
import { TimeScale } from "./time_scale.ts";

/**
 * Asks the district of `identity` for nothing, signed and verified, as a box does before it uploads.
 * Resolves to how far `clock` is ahead of the district's time, in ms, where that was told (it is when
 * the two differ), else to 0.
 *
 * @throws {@link SyncError} with what stands between the two.
 */
export async function probeDistrict(
  identity: BoxIdentity,
  clock: Clock,
  signal: AbortSignal,
): Promise<number> {
  const time = new TimeScale(clock, () => {});
  using client = new DistrictClient(identity, clock, time);
  await client.probe(signal);
  return time.wallErrorMs();
}
