import { parse } from "yaml";
import * as v from "valibot";
import type { Key } from "@tufjs/models";
import {
  type Delegation,
  publicKeyFromHex,
  RepositoryError,
  type RootPlan,
} from "../repository/mod.ts";

const PLAN_CHARS_MAX = 64 << 10;
const KEYS_MAX = 16;

const role = {
  threshold: v.pipe(v.number("expected a number of keys"), v.integer(), v.minValue(1)),
  /** Public keys in hex, as `gatehouse ota key show` prints them. */
  keys: v.pipe(
    v.array(v.string("expected public keys in hex; write them in quotes")),
    v.minLength(1),
    v.maxLength(KEYS_MAX),
  ),
};

const PlanSchema = v.strictObject({
  /** How long what is drafted is good, in days. */
  validDays: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(3_660)),
    365,
  ),
  root: v.strictObject(role),
  targets: v.strictObject(role),
  snapshot: v.strictObject(role),
  timestamp: v.strictObject(role),
  delegations: v.optional(
    v.array(v.strictObject({
      name: v.pipe(
        v.string(),
        v.regex(/^[a-z][a-z0-9-]{0,63}$/, "expected a name such as app or firmware-acme-x1"),
      ),
      paths: v.pipe(v.array(v.string()), v.maxLength(16)),
      ...role,
    })),
    [],
  ),
});

/** Who signs what in a district: the file that a key ceremony is about. */
export interface Plan {
  readonly validDays: number;
  readonly root: RootPlan;
  readonly delegations: readonly Delegation[];
}

/** Reads a plan. @throws {@link RepositoryError} `metadata`, naming the field. */
export function parsePlan(text: string, file: string): Plan {
  if (text.length > PLAN_CHARS_MAX) {
    throw new RepositoryError("metadata", `${file}: more than ${PLAN_CHARS_MAX} characters`);
  }
  let raw: unknown;
  try {
    raw = parse(text, { maxAliasCount: 10 });
  } catch (cause) {
    throw new RepositoryError("metadata", `${file}: ${(cause as Error).message}`, { cause });
  }
  const result = v.safeParse(PlanSchema, raw);
  if (!result.success) {
    const [issue] = result.issues;
    throw new RepositoryError(
      "metadata",
      `${file}: ${v.getDotPath(issue) ?? "the file"}: ${issue.message}`,
    );
  }
  const { validDays, delegations, ...roles } = result.output;
  const withKeys = ({ keys, threshold }: { keys: string[]; threshold: number }) => ({
    threshold,
    keys: keys.map((hex): Key => publicKeyFromHex(hex)),
  });
  return {
    validDays,
    root: {
      root: withKeys(roles.root),
      targets: withKeys(roles.targets),
      snapshot: withKeys(roles.snapshot),
      timestamp: withKeys(roles.timestamp),
    },
    delegations: delegations.map((one) => ({ name: one.name, paths: one.paths, ...withKeys(one) })),
  };
}
