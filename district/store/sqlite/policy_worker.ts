/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/**
 * Worker: reads settings and people in one snapshot, and makes the policy's document.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { compilePolicy } from "../../policy/compile.ts";
import type { CompileAnswer } from "./policy_compiler.ts";

function compile(path: string): CompileAnswer {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    db.exec("PRAGMA busy_timeout = 5000");
    // One snapshot: the version and the people that it stands for.
    db.exec("BEGIN");
    const settings = db.prepare("SELECT policy, wanted_version FROM settings").get()!;
    const cardholders = db.prepare("SELECT * FROM cardholders ORDER BY id").all().map((row) => ({
      id: Number(row.id),
      name: row.name as string,
      accessLevels: JSON.parse(row.access_levels as string) as string[],
      active: row.active === 1,
      ...(row.valid_from_ms === null ? {} : { validFromMs: Number(row.valid_from_ms) }),
      ...(row.valid_until_ms === null ? {} : { validUntilMs: Number(row.valid_until_ms) }),
    }));
    const credentials = db.prepare("SELECT * FROM cards ORDER BY id").all().map((row) => ({
      id: Number(row.id),
      cardholder: Number(row.cardholder),
      bits: Number(row.bits),
      hex: row.hex as string,
      active: row.active === 1,
    }));
    db.exec("COMMIT");
    return {
      ok: true,
      version: Number(settings.wanted_version),
      document: compilePolicy({
        ...JSON.parse(settings.policy as string) as object,
        cardholders,
        credentials,
      }),
    };
  } finally {
    db.close();
  }
}

self.onmessage = ({ data }: MessageEvent<string>) => {
  let answer: CompileAnswer;
  try {
    answer = compile(data);
  } catch (error) {
    answer = { ok: false, message: (error as Error).message };
  }
  self.postMessage(answer);
};
