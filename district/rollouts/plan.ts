import { createHash } from "node:crypto";
import type { RolloutRequest, TargetFilter } from "../api/types.ts";
import { DistrictError } from "../errors.ts";
import type { ControllerRow, GroupMembers } from "../store/rollout_contract.ts";

/** A group as an operator asks for it. */
export type GroupRequest = RolloutRequest["groups"][number];

/**
 * Sorts targets into groups. Which ones a share takes is decided by a hash of the rollout's name and
 * the target's id: as good as by lot, and the same however often it is asked.
 *
 * @throws {@link DistrictError} `invalid` for a group without targets, or targets without a group.
 */
export function planGroups(
  name: string,
  controllers: readonly Pick<ControllerRow, "id" | "labels">[],
  groups: readonly GroupRequest[],
  filter: TargetFilter = {},
): readonly GroupMembers[] {
  const lot = (id: string) => createHash("sha256").update(`${name}\n${id}`).digest("hex");
  let left = controllers.filter((each) => matches(each, filter))
    .map((each) => ({ ...each, lot: lot(each.id) }))
    .sort((a, b) => a.lot < b.lot ? -1 : 1);
  const members = groups.map(({ name: groupName, filter: only = {}, percent, ...thresholds }) => {
    const candidates = left.filter((each) => matches(each, only));
    const taken = candidates.slice(0, Math.ceil(candidates.length * percent / 100));
    if (taken.length === 0) {
      throw new DistrictError("invalid", `group ${groupName}: no target is left for it`);
    }
    const ids = new Set(taken.map(({ id }) => id));
    left = left.filter(({ id }) => !ids.has(id));
    return {
      plan: { name: groupName, boxes: taken.length, ...thresholds },
      controllerIds: [...ids],
    };
  });
  if (left.length > 0) {
    throw new DistrictError(
      "invalid",
      `${left.length} targets, such as ${left[0]!.id}, are in no group; ` +
        "let the last group take 100 percent of the rest",
    );
  }
  return members;
}

function matches(
  { id, labels }: Pick<ControllerRow, "id" | "labels">,
  filter: TargetFilter,
): boolean {
  if (filter.ids !== undefined && !filter.ids.includes(id)) return false;
  return Object.entries(filter.labels ?? {}).every(([key, value]) =>
    Object.hasOwn(labels, key) && labels[key] === value
  );
}
