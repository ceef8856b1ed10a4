import { Tooltip } from "antd";
import type { ReactNode } from "react";
import type { BoxView } from "../api/mod.ts";
import { exactTime, type Messages, span, useLanguage } from "../i18n/mod.ts";
import { useNow } from "../live/mod.ts";
import { DoorRow } from "./door_row.tsx";

/** One box: how it is, its doors and readers. */
export function BoxCard({ box }: { readonly box: BoxView }): ReactNode {
  const { t } = useLanguage();
  const { status } = box;
  return (
    <article className="panel box" data-online={box.online} data-box={box.id} aria-label={box.name}>
      <header className="box-head">
        <h2>{box.name}</h2>
        <BoxState box={box} />
      </header>
      {status !== undefined && (
        <>
          {!box.online && <p className="box-stale">{t.boxes.lastKnown}</p>}
          {status.doors.length === 0
            ? <p className="box-none">{t.boxes.noDoors}</p>
            : (
              <ul className="doors">
                {status.doors.map((door) => <DoorRow key={door.id} box={box} door={door} />)}
              </ul>
            )}
          {status.readers.length > 0 && <Readers box={box} readers={status.readers} />}
        </>
      )}
      <dl className="box-facts">
        <Fact name={t.boxes.policy} value={policyText(box, t)} warn={isBehind(box)} />
        {status !== undefined && (
          <>
            <Fact
              name={t.boxes.backlog}
              value={t.boxes.backlogEvents(status.backlogEvents)}
              warn={status.backlogEvents > BACKLOG_NOTED}
            />
            <Fact name={t.boxes.uptime} value={span(t, status.uptimeMs)} />
            <Fact name={t.boxes.memory} value={`${Math.round(status.rssBytes / 2 ** 20)} MiB`} />
            <Fact name={t.boxes.version} value={status.version} />
          </>
        )}
      </dl>
    </article>
  );
}

/** A backlog below this is a busy second, not a trouble. */
const BACKLOG_NOTED = 100;

function BoxState({ box }: { readonly box: BoxView }): ReactNode {
  const { language, t } = useLanguage();
  const now = useNow(5_000);
  if (box.online) return <span className="state" data-state="online">{t.boxes.online}</span>;
  if (box.lastSeenMs === undefined) {
    return <span className="state" data-state="new">{t.boxes.neverSeen}</span>;
  }
  return (
    <Tooltip title={exactTime(language, box.lastSeenMs)}>
      <span className="state" data-state="offline" tabIndex={0}>
        {t.boxes.offlineFor(span(t, now - box.lastSeenMs))}
      </span>
    </Tooltip>
  );
}

function Readers(
  { box, readers }: {
    readonly box: BoxView;
    readonly readers: NonNullable<BoxView["status"]>["readers"];
  },
): ReactNode {
  const { t } = useLanguage();
  return (
    <div className="readers">
      <span>{t.boxes.readers}</span>
      <ul>
        {readers.map((reader) => {
          // Of a box that is offline nobody knows.
          const state = !box.online ? "unknown" : reader.online ? "online" : "offline";
          const hint = reader.online
            ? t.boxes.readerOnline(reader.id)
            : t.boxes.readerOffline(reader.id);
          return (
            <li key={reader.id} data-state={state}>
              <Tooltip title={reader.door === undefined ? hint : `${hint} · ${reader.door}`}>
                <span tabIndex={0}>
                  <i /> {reader.id}
                  {state === "offline" && ` · ${t.boxes.offline}`}
                </span>
              </Tooltip>
            </li>
          );
        })}
      </ul>
    </div>
  );
}

function Fact(
  { name, value, warn = false }: {
    readonly name: string;
    readonly value: string;
    readonly warn?: boolean;
  },
): ReactNode {
  return (
    <div data-warn={warn}>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function isBehind({ status, policyVersionWanted }: BoxView): boolean {
  return status !== undefined && status.policyVersion !== policyVersionWanted;
}

function policyText(box: BoxView, t: Messages): string {
  const has = box.status?.policyVersion ?? 0;
  if (box.policyVersionWanted === 0) return t.boxes.policyNone;
  return isBehind(box) || box.status === undefined
    ? t.boxes.policyBehind(has, box.policyVersionWanted)
    : t.boxes.policyCurrent(has);
}
