import type { DatabaseSync } from "node:sqlite";
import type { RolloutRow } from "../rollout_contract.ts";

/** Boxes that a rollout brought to its release, or may yet; and what each had before, if that is known. */
const REACHED = `
  SELECT t.controller, (
    SELECT b.release FROM targets p
      JOIN rollouts b ON b.id = p.rollout JOIN releases l ON l.path = b.release
    WHERE p.controller = t.controller AND p.state = 'installed' AND l.kind = k.kind
      AND b.release <> k.path AND (p.changed_ms, p.id) < (t.changed_ms, t.id)
    ORDER BY p.changed_ms DESC, p.id DESC LIMIT 1
  ) AS before
  FROM targets t
    JOIN controllers c ON c.id = t.controller AND length(c.token_hash) > 0
    JOIN rollouts own ON own.id = t.rollout JOIN releases k ON k.path = own.release
  WHERE t.rollout = :id AND t.state IN ('offered', 'running', 'going-on', 'installed')
    AND NOT EXISTS (
      SELECT 1 FROM targets n
        JOIN rollouts r ON r.id = n.rollout JOIN releases l ON l.path = r.release
      WHERE n.controller = t.controller AND n.rollout <> t.rollout AND l.kind = k.kind AND (
        n.state IN ('offered', 'running', 'going-on')
        OR n.state = 'installed' AND (n.changed_ms, n.id) > (t.changed_ms, t.id)
        OR n.state = 'waiting' AND json_extract(r.rollout, '$.takesBack') = :id
      )
    )
  ORDER BY t.controller`;

/** The boxes that a rollout reached and nothing newer did, by the release that each had before. */
export function reachedBy(
  db: DatabaseSync,
  { id }: RolloutRow,
): ReadonlyMap<string | undefined, readonly string[]> {
  const boxes = new Map<string | undefined, string[]>();
  for (const { controller, before } of db.prepare(REACHED).all({ id })) {
    const release = before === null ? undefined : before as string;
    const those = boxes.get(release) ?? [];
    those.push(controller as string);
    boxes.set(release, those);
  }
  return boxes;
}
