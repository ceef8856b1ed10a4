import { ArrowUpOutlined, PauseCircleOutlined, SearchOutlined } from "@ant-design/icons";
import { Button, Empty, Input, Segmented, Select, Skeleton } from "antd";
import { Fragment, type ReactNode, useDeferredValue, useEffect, useState } from "react";
import type { EventView, Lane } from "../api/mod.ts";
import { day, sameDay, textOf, useLanguage } from "../i18n/mod.ts";
import { useLive } from "../live/mod.ts";
import { FaultNotice, PageHead } from "../ui/mod.ts";
import { EventRow } from "./event_row.tsx";
import { sentenceOf } from "./sentence.ts";
import { useFeed } from "./use_feed.ts";

const LANES: readonly Lane[] = ["alarm", "access", "command", "telemetry"];
/** Scrolled further than this, somebody reads. */
const READING_PX = 80;

/** Live events, newest on top, with history below. */
export function EventsPage(): ReactNode {
  const { language, t } = useLanguage();
  const boxes = useLive((state) => state.boxes);
  const [box, setBox] = useState<string>();
  const [lane, setLane] = useState<Lane>();
  const [text, setText] = useState("");
  const [hovered, setHovered] = useState(false);
  const scrolled = useScrolled();
  const held = hovered || scrolled;
  const live = useFeed({ box, lane }, held);
  const wanted = useDeferredValue(text.trim().toLowerCase());
  const { items, pending } = live.feed;
  const matches = (view: EventView) =>
    wanted === "" || searchText(view, textOf(sentenceOf(view, t))).includes(wanted);
  const shown = items?.filter(matches);

  const showPending = () => {
    live.release();
    globalThis.scrollTo({ top: 0 });
  };
  return (
    <>
      <PageHead title={t.events.title} />
      <div className="filters">
        <Segmented<Lane | "all">
          aria-label={t.events.filterLane}
          value={lane ?? "all"}
          onChange={(value) => setLane(value === "all" ? undefined : value)}
          options={[
            { value: "all", label: t.all },
            ...LANES.map((value) => ({ value, label: t.lanes[value] })),
          ]}
        />
        <Select<string>
          aria-label={t.events.filterBox}
          className="filter-box"
          allowClear
          showSearch={{ optionFilterProp: "label" }}
          placeholder={t.events.allBoxes}
          {...(box === undefined ? {} : { value: box })}
          onChange={(value: string | undefined) => setBox(value)}
          options={(boxes ?? []).map(({ id, name }) => ({ value: id, label: name }))}
        />
        <Input
          aria-label={t.events.filterText}
          className="filter-text"
          allowClear
          prefix={<SearchOutlined />}
          placeholder={t.events.filterText}
          value={text}
          onChange={(change) => setText(change.target.value)}
        />
      </div>
      {live.fault && <FaultNotice fault={live.fault} onRetry={live.retry} />}
      <div
        className="panel events"
        onPointerEnter={(pointer) => setHovered(pointer.pointerType === "mouse")}
        onPointerLeave={() => setHovered(false)}
      >
        <div className="held" data-on={held && pending.length > 0} aria-live="polite">
          {held && pending.length > 0 && (
            <>
              <span>
                <PauseCircleOutlined /> {t.events.paused}
              </span>
              <Button size="small" type="primary" icon={<ArrowUpOutlined />} onClick={showPending}>
                {t.events.pending(pending.length)}
              </Button>
            </>
          )}
        </div>
        {shown === undefined && !live.fault && (
          <div className="pad">
            <Skeleton active title={false} paragraph={{ rows: 8, width: "100%" }} />
          </div>
        )}
        {shown?.length === 0 && (
          <Empty
            className="pad"
            image={Empty.PRESENTED_IMAGE_SIMPLE}
            description={items?.length === 0 && box === undefined && lane === undefined
              ? `${t.events.none}. ${t.events.noneHint}`
              : t.events.noMatch}
          />
        )}
        <ol className="event-list" aria-label={t.events.list}>
          {shown?.map((view, index) => {
            const above = shown[index - 1];
            const newDay = above !== undefined && !sameDay(above.receivedMs, view.receivedMs);
            return (
              <Fragment key={view.id}>
                {newDay && <li className="event-day">{day(language, view.receivedMs)}</li>}
                <EventRow view={view} />
              </Fragment>
            );
          })}
        </ol>
        {items !== undefined && items.length > 0 && (
          <div className="event-more">
            {live.feed.complete
              ? <span>{t.events.noOlder}</span>
              : (
                <Button loading={live.loadingOlder} onClick={live.loadOlder}>
                  {t.events.older}
                </Button>
              )}
          </div>
        )}
      </div>
    </>
  );
}

function searchText(view: EventView, sentence: string): string {
  const { event } = view;
  const card = event.kind === "access.denied" ? event.card?.hex ?? "" : "";
  const reader = "reader" in event ? event.reader : "";
  return `${sentence} ${view.boxName} ${reader} ${card}`.toLowerCase();
}

function useScrolled(): boolean {
  const [scrolled, setScrolled] = useState(false);
  useEffect(() => {
    const look = () => setScrolled(globalThis.scrollY > READING_PX);
    globalThis.addEventListener("scroll", look, { passive: true });
    return () => globalThis.removeEventListener("scroll", look);
  }, []);
  return scrolled;
}
