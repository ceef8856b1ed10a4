/**
 * Decisions a second with 200,000 credentials, on one core.
 *
 * @module
 */
import { linuxClock } from "../hal/linux/mod.ts";
import {
  bindPolicy,
  cardKeyFromRead,
  compilePolicy,
  decide,
  LocalTime,
} from "../runtime/policy/mod.ts";
import { DistrictOfPeople } from "../demo/people.ts";
import { percentile } from "./percentile.ts";
import type { BenchRow } from "./row.ts";

const CREDENTIALS = 200_000;
const ROUNDS = 5;
const DECISIONS_A_ROUND = 1_000_000;

/** Median decisions a second, beside looking the same cards up in a `Map` of JavaScript strings. */
export function benchDecide(): Promise<BenchRow[]> {
  const clock = linuxClock();
  const people = new DistrictOfPeople(CREDENTIALS, 1);
  const policy = bindPolicy(compilePolicy(people.policy(), 1), "east-gate", ["main"]);
  const local = new LocalTime("Asia/Shanghai");
  const reads = Array.from({ length: 65_536 }, (_, index) => people.read(index % 50 === 0));
  const peer = new Map(
    people.policy().credentials.map((c) => [`${c.bits}:${c.hex}`, c.cardholder]),
  );
  const wallMs = people.schoolMorningMs;
  const ours: number[] = [];
  const theirs: number[] = [];
  let granted = 0;
  let found = 0;
  for (let round = 0; round < ROUNDS; round++) {
    let startMs = clock.monotonicMs();
    for (let index = 0; index < DECISIONS_A_ROUND; index++) {
      const read = reads[index & 65_535]!;
      const key = cardKeyFromRead(read.bits, read.data);
      const time = { wallMs: wallMs + index, local: local.at(wallMs + index) };
      if (decide(policy, { index: 0, mode: "normal" }, key, time).granted) granted++;
    }
    ours.push(DECISIONS_A_ROUND / (clock.monotonicMs() - startMs) * 1000);
    startMs = clock.monotonicMs();
    for (let index = 0; index < DECISIONS_A_ROUND; index++) {
      const read = reads[index & 65_535]!;
      let hex = "";
      for (const byte of read.data) hex += (byte < 16 ? "0" : "") + byte.toString(16);
      if (peer.get(`${read.bits}:${hex}`) !== undefined) found++;
    }
    theirs.push(DECISIONS_A_ROUND / (clock.monotonicMs() - startMs) * 1000);
  }
  if (granted === 0 || found === 0) throw new Error("nothing was granted: the bench is wrong");
  const value = percentile(ours, 50);
  const baselineValue = percentile(theirs, 50);
  return Promise.resolve([{
    bench: "decide",
    metric: `decisions with ${CREDENTIALS} credentials`,
    value,
    unit: "1/s",
    baseline: "bare Map lookup of the card as a string, no schedule",
    baselineValue,
    ratio: value / baselineValue,
  }]);
}
