import { Empty, Form, Input } from "antd";
import type { ReactNode } from "react";
import type { Holiday } from "../api/mod.ts";
import { useMessages } from "../i18n/mod.ts";
import { Editor } from "./editor.tsx";
import { EntryActions, TabHead, type TabProps } from "./tab.tsx";
import { type Entries, useEntries } from "./use_entries.ts";

const DAY_MS = 86_400_000;

/** Days on which schedules use their holiday hours. */
export function HolidaysTab(props: TabProps): ReactNode {
  const t = useMessages();
  const entries = useEntries("holidays", props);
  const holidays = [...props.settings.holidays].sort((a, b) => a.from < b.from ? -1 : 1);
  return (
    <>
      <TabHead hint={t.access.holidaysHint} label={t.access.addHoliday} onAdd={entries.add} />
      <div className="panel entries">
        {holidays.length === 0 && (
          <Empty
            className="pad"
            image={Empty.PRESENTED_IMAGE_SIMPLE}
            description={t.access.noHolidays}
          />
        )}
        {holidays.map((holiday) => (
          <article key={holiday.id} className="entry">
            <div className="entry-name">
              <strong>{holiday.name}</strong>
              <code>{holiday.id}</code>
            </div>
            <span className="entry-dates">
              {holiday.from === holiday.to ? holiday.from : `${holiday.from} – ${holiday.to}`}
              <span className="hint">{t.access.nDays(daysOf(holiday))}</span>
            </span>
            <EntryActions
              name={holiday.name}
              onEdit={() => entries.edit(holiday)}
              onRemove={() => void entries.remove(holiday.id)}
            />
          </article>
        ))}
      </div>
      {entries.editing && <HolidayEditor entries={entries} holiday={entries.editing.entry} />}
    </>
  );
}

function daysOf({ from, to }: Holiday): number {
  return Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS) + 1;
}

function HolidayEditor(
  { entries, holiday }: {
    readonly entries: Entries<Holiday>;
    readonly holiday: Holiday | undefined;
  },
): ReactNode {
  const t = useMessages();
  const [form] = Form.useForm<Holiday>();
  const checkLast = (_: unknown, to: string | undefined) =>
    to === undefined || to >= form.getFieldValue("from")
      ? Promise.resolve()
      : Promise.reject(new Error(t.access.dates));
  return (
    <Editor<Holiday>
      title={holiday?.name ?? t.access.addHoliday}
      form={form}
      isNew={holiday === undefined}
      taken={entries.taken}
      initial={holiday ?? {}}
      onSave={(values) => entries.put({ ...values, name: values.name.trim() })}
      onClose={entries.close}
    >
      <div className="pair">
        <Form.Item
          name="from"
          label={t.access.firstDay}
          rules={[{ required: true, message: t.access.firstDay }]}
        >
          <Input type="date" />
        </Form.Item>
        <Form.Item
          name="to"
          label={t.access.lastDay}
          dependencies={["from"]}
          rules={[{ required: true, message: t.access.lastDay }, { validator: checkLast }]}
        >
          <Input type="date" />
        </Form.Item>
      </div>
    </Editor>
  );
}
