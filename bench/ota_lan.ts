/**
 * What a release costs the line of a school with 20 boxes, by that line's own count of bytes.
 *
 * A program of its own, `ota_lan.ts FILE`: it prints its rows as JSON.
 *
 * @module
 */
import { fetchAtOnce, lanRefusal } from "../tests/ota/lan.ts";
import type { BenchRow } from "./row.ts";

const BOXES = 20;

async function lan(file: string): Promise<BenchRow[]> {
  const refusal = await lanRefusal();
  if (refusal !== undefined) throw new Error(`the school's network: ${refusal}`);
  const content = await Deno.readFile(file);
  const together = await fetchAtOnce(content, BOXES, "together");
  const baselines = {
    "one box": await fetchAtOnce(content, 1, "alone"),
    [`${BOXES} boxes, each by itself`]: await fetchAtOnce(content, BOXES, "alone"),
  };
  return Object.entries(baselines).map(([baseline, bytes]) => ({
    bench: "ota",
    metric:
      `a whole release of the app to ${BOXES} boxes at once (network namespaces): bytes over the line`,
    value: together / 1e6,
    unit: "MB",
    baseline,
    baselineValue: bytes / 1e6,
    ratio: together / bytes,
  }));
}

if (import.meta.main) {
  const [file] = Deno.args;
  if (file === undefined) throw new Error("expected the release's file");
  console.log(JSON.stringify(await lan(file)));
}
