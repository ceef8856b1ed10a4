import type { SimulatedReaderOptions } from "./options.ts";
import type { SecureReader } from "./secure_channel.ts";

/** What a simulated reader says that it can do: PDCAP, function, compliance and number each (annex B). */
export function capabilitiesOf(
  options: SimulatedReaderOptions,
  { installMode, key }: Pick<SecureReader, "installMode" | "key">,
): number[] {
  const { inputs = 2, outputs = 2, display, clearOnly, receiveBytes, largestMessage } = options;
  const underDefaultKey = installMode && key === undefined;
  return [
    ...[1, inputs === 0 ? 0 : 1, inputs],
    ...[2, outputs === 0 ? 0 : 4, outputs],
    ...[3, 1, 0],
    ...[4, 3, 1],
    ...[5, 2, 1],
    ...(display ? [6, 1, 1] : []),
    ...[8, options.checksumOnly ? 0 : 1, 0],
    ...[9, clearOnly ? 0 : 1, Number(underDefaultKey)],
    ...(receiveBytes === undefined ? [] : [10, receiveBytes & 0xff, receiveBytes >> 8]),
    ...(largestMessage === undefined ? [] : [11, largestMessage & 0xff, largestMessage >> 8]),
  ];
}
