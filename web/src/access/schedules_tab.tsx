import { Button, Empty, Form, Input } from "antd";
import type { ReactNode } from "react";
import type { Schedule, Weekday } from "../api/mod.ts";
import { useMessages } from "../i18n/mod.ts";
import { Editor } from "./editor.tsx";
import {
  hoursText,
  readHours,
  usersOf,
  WEEKDAYS,
  type WeekHours,
  weeklyOf,
  weekOf,
} from "./hours.ts";
import { EntryActions, TabHead, type TabProps } from "./tab.tsx";
import { type Entries, useEntries } from "./use_entries.ts";
import { WeekGrid } from "./week_grid.tsx";

/** Weekly hours. */
export function SchedulesTab(props: TabProps): ReactNode {
  const t = useMessages();
  const entries = useEntries("schedules", props);
  const { settings } = props;
  return (
    <>
      <TabHead hint={t.access.schedulesHint} label={t.access.addSchedule} onAdd={entries.add} />
      {settings.schedules.length === 0 && (
        <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t.access.noSchedules} />
      )}
      <div className="cards">
        {settings.schedules.map((schedule) => {
          const users = usersOf(settings, schedule.id);
          return (
            <article key={schedule.id} className="panel schedule">
              <header>
                <div className="entry-name">
                  <strong>{schedule.name}</strong>
                  <code>{schedule.id}</code>
                </div>
                <EntryActions
                  name={schedule.name}
                  onEdit={() => entries.edit(schedule)}
                  onRemove={() => void entries.remove(schedule.id)}
                  blocked={users.length > 0 ? t.access.usedBy(users.join(", ")) : undefined}
                />
              </header>
              <WeekGrid week={weekOf(schedule)} onHolidays={schedule.onHolidays} />
            </article>
          );
        })}
      </div>
      {entries.editing && <ScheduleEditor entries={entries} schedule={entries.editing.entry} />}
    </>
  );
}

type Row = Weekday | "onHolidays";

interface ScheduleForm {
  readonly id: string;
  readonly name: string;
  /** As typed. */
  readonly hours: Readonly<Record<Row, string>>;
}

const WORKDAYS: readonly Weekday[] = ["mon", "tue", "wed", "thu", "fri"];

function formOf(schedule: Schedule | undefined): Partial<ScheduleForm> {
  const week = weekOf(schedule ?? { weekly: [] });
  const hours = Object.fromEntries([
    ...WEEKDAYS.map((day) => [day, hoursText(week[day])]),
    ["onHolidays", hoursText(schedule?.onHolidays ?? [])],
  ]) as Record<Row, string>;
  return schedule === undefined ? { hours } : { id: schedule.id, name: schedule.name, hours };
}

function scheduleOf({ id, name, hours }: ScheduleForm): Schedule {
  const read = (row: Row) => readHours(hours[row] ?? "") ?? [];
  const week = Object.fromEntries(WEEKDAYS.map((day) => [day, read(day)])) as unknown as WeekHours;
  return { id, name: name.trim(), weekly: weeklyOf(week), onHolidays: read("onHolidays") };
}

function ScheduleEditor(
  { entries, schedule }: {
    readonly entries: Entries<Schedule>;
    readonly schedule: Schedule | undefined;
  },
): ReactNode {
  const t = useMessages();
  const [form] = Form.useForm<ScheduleForm>();
  const copyMonday = () => {
    const monday = form.getFieldValue(["hours", "mon"]);
    for (const day of WORKDAYS) form.setFieldValue(["hours", day], monday);
  };
  const check = (_: unknown, value: string | undefined) =>
    readHours(value ?? "") === undefined
      ? Promise.reject(new Error(t.access.hoursFault))
      : Promise.resolve();
  const rows: readonly Row[] = [...WEEKDAYS, "onHolidays"];
  return (
    <Editor<ScheduleForm>
      title={schedule?.name ?? t.access.addSchedule}
      form={form}
      isNew={schedule === undefined}
      taken={entries.taken}
      initial={formOf(schedule)}
      onSave={(values) => entries.put(scheduleOf(values))}
      onClose={entries.close}
    >
      {rows.map((row, index) => (
        <div key={row} className="hours-row">
          <label htmlFor={`hours_${row}`}>{t.access.days[index] ?? t.access.onHolidays}</label>
          <Form.Item
            name={["hours", row]}
            rules={[{ validator: check }]}
            validateTrigger="onBlur"
          >
            <Input
              allowClear
              className="mono"
              placeholder={row === "mon" ? t.access.hoursPlaceholder : t.access.closed}
            />
          </Form.Item>
          {row === "mon" && (
            <Button size="small" type="link" onClick={copyMonday}>{t.access.sameAs}</Button>
          )}
        </div>
      ))}
    </Editor>
  );
}
