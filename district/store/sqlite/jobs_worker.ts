/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/**
 * The worker of `jobs.ts`: does one job on the file of people.
 *
 * @module
 */
import { readCardholders } from "../../people/read.ts";
import { compilePolicy } from "../../policy/compile.ts";
import type { ImportOutcome, ImportRow } from "../contract.ts";
import { openPeople } from "./database.ts";
import type { Job, JobAnswer, JobRequest, JobResults } from "./jobs.ts";
import { PeopleTables } from "./people_tables.ts";

function importFrom(
  people: PeopleTables,
  source: Uint8Array | readonly ImportRow[],
  dryRun: boolean,
): ImportOutcome {
  if (!(source instanceof Uint8Array)) return people.import(source, dryRun);
  const levels = new Set(people.settings().accessLevels.map(({ id }) => id));
  const { rows, faults } = readCardholders(source, levels);
  if (faults.length > 0) {
    return { added: 0, changed: 0, unchanged: 0, faults, policyVersion: undefined };
  }
  return people.import(rows, dryRun);
}

function run(people: PeopleTables, job: Job): JobResults[Job["kind"]] {
  switch (job.kind) {
    case "compile": {
      const { version, parts } = people.snapshot();
      return { version, document: compilePolicy(parts) };
    }
    case "import":
      return importFrom(people, job.source, job.dryRun);
    case "settings":
      return people.putSettings(job.settings);
    default:
      return job satisfies never;
  }
}

self.onmessage = ({ data: { path, job } }: MessageEvent<JobRequest>) => {
  let answer: JobAnswer;
  try {
    const db = openPeople(path);
    try {
      answer = { ok: true, result: run(new PeopleTables(db), job) };
    } finally {
      db.close();
    }
  } catch (error) {
    answer = { ok: false, message: (error as Error).message };
  }
  self.postMessage(answer);
};
