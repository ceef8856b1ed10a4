import type { RolloutRequest, RolloutView } from "../api/mod.ts";

/** Boxes of a rollout, or of one of its stages, by how far they are. */
export interface Tally {
  readonly total: number;
  readonly installed: number;
  readonly failed: number;
  /** Neither: not asked yet, or at it. */
  readonly left: number;
}

/** The tally of all stages together. */
export function tallyOf(groups: RolloutView["groups"]): Tally {
  const sum = (pick: (group: RolloutView["groups"][number]) => number) =>
    groups.reduce((total, group) => total + pick(group), 0);
  const [total, installed, failed] = [
    sum((group) => group.boxes),
    sum((group) => group.installed),
    sum((group) => group.failed),
  ];
  return { total, installed, failed, left: total - installed - failed };
}

/** Stages as they are typed, `1, 10, 50, 100`: rising shares of all boxes; `undefined` when they are not. */
export function parseStages(text: string): number[] | undefined {
  const shares = text.split(/[,，、\s]+/).filter((part) => part !== "").map(Number);
  const rises = shares.every((share, index) =>
    Number.isInteger(share) && share > (shares[index - 1] ?? 0) && share <= 100
  );
  return shares.length > 0 && shares.length <= 10 && rises && shares.at(-1) === 100
    ? shares
    : undefined;
}

/**
 * Shares of all boxes as a rollout's groups have them: each a share of those that stand in no group
 * before it, in whole percent, rounded up.
 */
export function groupsOf(
  shares: readonly number[],
  limits: { readonly successPercent: number; readonly errorPercent: number },
  nameOf: (index: number, share: number) => string,
): RolloutRequest["groups"] {
  let before = 0;
  return shares.map((share, index) => {
    const percent = Math.ceil((share - before) / (100 - before) * 100);
    before = share;
    return { name: nameOf(index, share), percent, ...limits };
  });
}
