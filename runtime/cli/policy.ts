import { join } from "node:path";
import * as v from "valibot";
import { parse as parseYaml } from "yaml";
import { processClock } from "../../hal/linux/mod.ts";
import { parsePolicy } from "../../sync/wire/mod.ts";
import { openPolicyStore, packPolicy, PolicyError } from "../policy/mod.ts";
import { DATA_DIR_DEFAULT, EXIT, readArgs, UsageError } from "./usage.ts";

const HELP = `
gatehouse policy load FILE [--data DIR] [--json]

Puts the policy in FILE (YAML or JSON, see docs/reference/policy.md) in force on a box that has no
district, or until its district sends the next one. A running box takes it over within two seconds.
A policy with a fault is refused as a whole, and the one in force stays.

  --data DIR   the box's data folder, default ${DATA_DIR_DEFAULT}
  --json       one JSON object: {"version", "credentials", "cardholders"}

Exit codes: 0 in force, 2 bad usage, 3 the file has a fault or cannot be read.
`;

/** 500,000 credentials of 80 characters. */
const POLICY_FILE_BYTES_MAX = 64 << 20;

/** `gatehouse policy load`. */
export async function policyCommand(args: string[]): Promise<number> {
  const parsed = readArgs(args, { data: { type: "string" }, json: { type: "boolean" } }, HELP);
  if (parsed === undefined) return EXIT.ok;
  const [action, file, ...rest] = parsed.positionals;
  if (action !== "load" || file === undefined || rest.length > 0) {
    throw new UsageError("expected: policy load FILE");
  }
  try {
    const policy = parsePolicy(readPolicyFile(file));
    const dataDir = parsed.values.data ?? DATA_DIR_DEFAULT;
    await Deno.mkdir(dataDir, { recursive: true, mode: 0o700 });
    const opened = openPolicyStore(
      join(dataDir, "policy.db"),
      processClock().wallMs(),
      (setAside) => console.error(`the policy store was spoilt; it is now ${setAside}`),
    );
    using store = opened.store;
    const document = packPolicy(policy);
    const { version } = store.apply({ source: "file", version: undefined, document });
    const credentials = policy.credentials.length;
    const cardholders = policy.cardholders.length;
    if (parsed.values.json) console.log(JSON.stringify({ version, credentials, cardholders }));
    else {
      console.log(
        `policy ${version} is in force: ${cardholders} cardholders, ${credentials} credentials`,
      );
    }
    return EXIT.ok;
  } catch (error) {
    console.error(`${file}: ${explain(error)}`);
    return EXIT.badInput;
  }
}

function readPolicyFile(file: string): unknown {
  const { size } = Deno.statSync(file);
  if (size > POLICY_FILE_BYTES_MAX) {
    throw new PolicyError(`${size} bytes; at most ${POLICY_FILE_BYTES_MAX} are read`);
  }
  const text = Deno.readTextFileSync(file);
  // JSON is YAML too, but JSON.parse reads 200,000 credentials a hundred times faster.
  return text.trimStart().startsWith("{") ? JSON.parse(text) : parseYaml(text);
}

function explain(error: unknown): string {
  if (error instanceof v.ValiError) {
    const issue = error.issues[0];
    return `${v.getDotPath(issue) ?? "file"}: ${issue.message}`;
  }
  if (error instanceof Deno.errors.NotFound) return "there is no such file";
  return (error as Error).message;
}
