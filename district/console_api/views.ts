import type { BoxView, CommandView, EventView } from "../api/types.ts";
import type { BoxLinks } from "../box_api/links.ts";
import type { BoxRow, CommandRow, EventRow, PeopleStore } from "../store/contract.ts";

/** A box as the console sees it. */
export function boxView(row: BoxRow, links: BoxLinks, policyVersionWanted: number): BoxView {
  const { online, lastSeenMs, status } = links.presence(row);
  const { id, enrolledMs } = row;
  const base = {
    id,
    name: status?.name ?? row.name,
    online,
    enrolledMs,
    policyVersionWanted,
    ...(lastSeenMs === undefined ? {} : { lastSeenMs }),
  };
  if (status === undefined) return base;
  const { kind: _kind, name: _name, ...shown } = status;
  return { ...base, status: shown };
}

/** A command as the console sees it. A result that comes after its expiry still counts. */
export function commandView(row: CommandRow, nowMs: number): CommandView {
  const { id, boxId, command, operator, issuedMs, expiresMs, outcome, detail } = row;
  return {
    id,
    boxId,
    command,
    operator,
    issuedMs,
    expiresMs,
    state: outcome ?? (nowMs < expiresMs ? "pending" : "expired"),
    ...(detail === undefined ? {} : { detail }),
  };
}

/** Events as the console sees them, with the names of people. */
export async function eventViews(
  rows: readonly EventRow[],
  store: PeopleStore,
  nameOfBox: (boxId: string) => string,
): Promise<readonly EventView[]> {
  const ids = rows.flatMap(({ recorded: { event } }) =>
    "cardholder" in event && event.cardholder !== undefined ? [event.cardholder] : []
  );
  const names = await store.cardholderNames([...new Set(ids)]);
  return rows.map((row) => {
    const { event } = row.recorded;
    const name = "cardholder" in event && event.cardholder !== undefined
      ? names.get(event.cardholder)
      : undefined;
    return {
      ...row.recorded,
      id: row.id,
      boxId: row.boxId,
      boxName: nameOfBox(row.boxId),
      epoch: row.epoch,
      lane: row.lane,
      seq: row.seq,
      receivedMs: row.receivedMs,
      ...(name === undefined ? {} : { cardholderName: name }),
    };
  });
}
