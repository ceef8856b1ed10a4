import { ClockCircleOutlined } from "@ant-design/icons";
import { Tooltip } from "antd";
import { memo, type ReactNode } from "react";
import type { EventView } from "../api/mod.ts";
import { exactTime, sameDay, shortTime, span, timeOfDay, useLanguage } from "../i18n/mod.ts";
import { CopyButton, SentenceText } from "../ui/mod.ts";
import { sentenceOf, toneOf } from "./sentence.ts";

/** Arrival later than this after the event is said: it came out of a backlog. */
const LATE_MS = 60_000;

/** One event in the list. */
export const EventRow: React.NamedExoticComponent<{ readonly view: EventView }> = memo(Row);

function Row({ view }: { readonly view: EventView }): ReactNode {
  const { language, t } = useLanguage();
  const { event } = view;
  const lateMs = view.receivedMs - view.wallMs;
  const where = "reader" in event && event.kind.startsWith("access.")
    ? `${view.boxName} · ${event.reader}`
    : view.boxName;
  const card = event.kind === "access.denied" ? event.card : undefined;
  return (
    <li className="event" data-tone={toneOf(view)} data-kind={event.kind} data-id={view.id}>
      <Tooltip title={exactTime(language, view.wallMs)} mouseEnterDelay={0.4}>
        <time dateTime={new Date(view.wallMs).toISOString()}>
          {sameDay(view.wallMs, view.receivedMs)
            ? timeOfDay(language, view.wallMs)
            : shortTime(language, view.wallMs)}
        </time>
      </Tooltip>
      <span className="event-lane">{t.lanes[view.lane]}</span>
      <span className="event-text">
        <SentenceText sentence={sentenceOf(view, t)} />
        {card && (
          <span className="event-card">
            <code>{t.events.card(card.bits, card.hex)}</code>
            <CopyButton text={`${card.bits},${card.hex}`} label={t.events.copyCard} />
          </span>
        )}
      </span>
      <span className="event-where">
        {view.clock === "unsynchronised" && (
          <Tooltip title={t.clockUncertain}>
            <span className="event-mark" tabIndex={0} role="img" aria-label={t.clockUncertain}>
              <ClockCircleOutlined /> <span>{t.clockUncertainShort}</span>
            </span>
          </Tooltip>
        )}
        {view.clock === "synchronised" && lateMs > LATE_MS && (
          <span className="event-late">{t.events.receivedLate(span(t, lateMs))}</span>
        )}
        <span>{where}</span>
      </span>
    </li>
  );
}
