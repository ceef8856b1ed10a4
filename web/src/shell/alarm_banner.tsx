import { AlertFilled, RightOutlined } from "@ant-design/icons";
import { type ReactNode, useEffect, useMemo } from "react";
import { briefTime, useLanguage } from "../i18n/mod.ts";
import { activeAlarms, useLive } from "../live/mod.ts";
import { SentenceText } from "../ui/mod.ts";

/** More would push the page off a phone's screen. */
const SHOWN_MAX = 3;
const NO_BOXES: readonly never[] = [];

/** What is not well now, on top of each page until it is. */
export function AlarmBanner(): ReactNode {
  const { language, t } = useLanguage();
  const boxes = useLive((state) => state.boxes) ?? NO_BOXES;
  const events = useLive((state) => state.alarms);
  const alarms = useMemo(() => activeAlarms(boxes, events, t), [boxes, events, t]);
  useEffect(() => {
    document.title = alarms.length > 0 ? `(${alarms.length}) ${t.product}` : t.product;
  }, [alarms.length, t]);
  if (alarms.length === 0) return null;
  const severe = alarms.some((alarm) => alarm.severe);
  return (
    <section
      className="alarms"
      role="alert"
      data-severe={severe}
      aria-label={t.alarm.title(alarms.length)}
    >
      <strong className="alarms-count">
        <AlertFilled /> {t.alarm.title(alarms.length)}
      </strong>
      <ul>
        {alarms.slice(0, SHOWN_MAX).map((alarm) => (
          <li key={alarm.key}>
            <span className="alarm-box">{alarm.boxName}</span>
            <SentenceText sentence={alarm.sentence} />
            {alarm.sinceMs !== undefined && (
              <span className="alarm-since">
                {t.alarm.since(briefTime(language, alarm.sinceMs))}
              </span>
            )}
          </li>
        ))}
        {alarms.length > SHOWN_MAX && <li>{t.alarm.more(alarms.length - SHOWN_MAX)}</li>}
      </ul>
      <a href="#/events">
        {t.alarm.show} <RightOutlined />
      </a>
    </section>
  );
}
