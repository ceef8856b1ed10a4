import { type Key, Root, Targets } from "@tufjs/models";
import { RepositoryError } from "./errors.ts";

/** Who signs a role. */
export interface RolePlan {
  readonly keys: readonly Key[];
  /** How many of them have to. */
  readonly threshold: number;
}

/** Who signs the four top roles. */
export interface RootPlan {
  /** Offline, several people: it can replace all others. */
  readonly root: RolePlan;
  /** Offline: it says who speaks for which path. */
  readonly targets: RolePlan;
  /** On the district's server. */
  readonly snapshot: RolePlan;
  /** On the district's server, signed every hour. */
  readonly timestamp: RolePlan;
}

/** Who speaks for some paths, by the word of `targets`. */
export interface Delegation extends RolePlan {
  /** Such as `app`, `firmware-acme-x1`. */
  readonly name: string;
  /** Patterns a path segment each, such as `app/*` followed by another segment; none for a role of assignments. */
  readonly paths: readonly string[];
}

function check(name: string, { keys, threshold }: RolePlan): void {
  const distinct = new Set(keys.map((key) => key.keyVal.public)).size;
  if (distinct !== keys.length) {
    throw new RepositoryError("key", `${name}: a key stands there twice, and counts once`);
  }
  if (!Number.isInteger(threshold) || threshold < 1 || threshold > keys.length) {
    throw new RepositoryError(
      "key",
      `${name}: ${threshold} of ${keys.length} keys cannot be; the threshold is 1 to ${keys.length}`,
    );
  }
}

/** What all metadata says of itself. */
export interface Head {
  readonly version: number;
  readonly specVersion: string;
  readonly expires: string;
}

function keysJson(plans: readonly RolePlan[]) {
  const keys = plans.flatMap((plan) => plan.keys);
  return Object.fromEntries(keys.map((key) => [key.keyID, key.toJSON()]));
}

const roleJson = ({ keys, threshold }: RolePlan) => ({
  keyids: keys.map((key) => key.keyID),
  threshold,
});

const headJson = (type: string, { version, specVersion, expires }: Head) => ({
  _type: type,
  version,
  spec_version: specVersion,
  expires,
});

/** A root that gives the roles to the keys of `plan`. @throws {@link RepositoryError} `key` */
export function rootOf(plan: RootPlan, head: Head): Root {
  const names = ["root", "targets", "snapshot", "timestamp"] as const;
  for (const name of names) check(name, plan[name]);
  return Root.fromJSON({
    ...headJson("root", head),
    consistent_snapshot: true,
    keys: keysJson(names.map((name) => plan[name])),
    roles: Object.fromEntries(names.map((name) => [name, roleJson(plan[name])])),
  });
}

/**
 * Delegations as `targets` holds them. Each ends the search for its paths.
 *
 * @throws {@link RepositoryError} `key`, `metadata`
 */
export function delegationsOf(plan: readonly Delegation[]): Targets["delegations"] {
  for (const role of plan) check(role.name, role);
  if (new Set(plan.map((role) => role.name)).size !== plan.length) {
    throw new RepositoryError("metadata", "a role is delegated twice");
  }
  return Targets.fromJSON({
    ...headJson("targets", { version: 1, specVersion: "1.0", expires: "2026-01-01T00:00:00Z" }),
    targets: {},
    delegations: {
      keys: keysJson(plan),
      roles: plan.map((role) => ({
        ...roleJson(role),
        name: role.name,
        terminating: true,
        paths: [...role.paths],
      })),
    },
  }).delegations;
}
