import { DeleteOutlined, PlusOutlined } from "@ant-design/icons";
import { Button, Empty, Form, Select, Tag } from "antd";
import { type ReactNode, useMemo } from "react";
import type { AccessLevel, PolicySettings } from "../api/mod.ts";
import { useMessages } from "../i18n/mod.ts";
import { useLive } from "../live/mod.ts";
import { Editor } from "./editor.tsx";
import { ALWAYS, DOOR_PATTERN } from "./hours.ts";
import { EntryActions, TabHead, type TabProps } from "./tab.tsx";
import { type Entries, useEntries } from "./use_entries.ts";

/** Which doors at which times. */
export function LevelsTab(props: TabProps): ReactNode {
  const t = useMessages();
  const entries = useEntries("accessLevels", props);
  const { settings } = props;
  return (
    <>
      <TabHead hint={t.access.levelsHint} label={t.access.addLevel} onAdd={entries.add} />
      <div className="panel entries">
        {settings.accessLevels.length === 0 && (
          <Empty
            className="pad"
            image={Empty.PRESENTED_IMAGE_SIMPLE}
            description={t.access.noLevels}
          />
        )}
        {settings.accessLevels.map((level) => (
          <article key={level.id} className="entry">
            <div className="entry-name">
              <strong>{level.name}</strong>
              <code>{level.id}</code>
            </div>
            <ul className="grants">
              {level.grants.map((grant, index) => (
                <li key={index}>
                  {grant.doors.map((door) => (
                    <Tag key={door}>{door === "*" ? t.access.allDoors : door}</Tag>
                  ))}
                  <span className="hint">{scheduleName(settings, grant.schedule, t.access)}</span>
                </li>
              ))}
            </ul>
            <EntryActions
              name={level.name}
              onEdit={() => entries.edit(level)}
              onRemove={() => void entries.remove(level.id)}
            />
          </article>
        ))}
      </div>
      {entries.editing && (
        <LevelEditor settings={settings} entries={entries} level={entries.editing.entry} />
      )}
    </>
  );
}

function scheduleName(
  settings: PolicySettings,
  id: string,
  t: { readonly always: string; readonly missing: (id: string) => string },
): string {
  if (id === ALWAYS) return t.always;
  return settings.schedules.find((schedule) => schedule.id === id)?.name ?? t.missing(id);
}

function LevelEditor(
  { settings, entries, level }: {
    readonly settings: PolicySettings;
    readonly entries: Entries<AccessLevel>;
    readonly level: AccessLevel | undefined;
  },
): ReactNode {
  const t = useMessages();
  const boxes = useLive((state) => state.boxes);
  const [form] = Form.useForm<AccessLevel>();
  const doors = useMemo(() => {
    const names = new Set(["*"]);
    for (const { name, status } of boxes ?? []) {
      names.add(`${name}/*`);
      for (const { id } of status?.doors ?? []) names.add(id).add(`${name}/${id}`);
    }
    // A box may carry a name that no policy can write; `main` alone still fits its door.
    return [...names].filter((door) => DOOR_PATTERN.test(door)).sort()
      .map((door) => ({ value: door, label: door === "*" ? `* · ${t.access.allDoors}` : door }));
  }, [boxes, t]);
  const schedules = [
    { value: ALWAYS, label: t.access.always },
    ...settings.schedules.map(({ id, name }) => ({ value: id, label: name })),
  ];
  const checkDoors = (_: unknown, value: readonly string[] | undefined) => {
    const wrong = value?.find((door) => !DOOR_PATTERN.test(door));
    return wrong === undefined
      ? Promise.resolve()
      : Promise.reject(new Error(t.access.doorFault(wrong)));
  };
  return (
    <Editor<AccessLevel>
      title={level?.name ?? t.access.addLevel}
      form={form}
      isNew={level === undefined}
      taken={entries.taken}
      initial={level ?? { grants: [{ doors: [], schedule: ALWAYS }] }}
      onSave={entries.put}
      onClose={entries.close}
    >
      <Form.List name="grants">
        {(fields, { add, remove }) => (
          <>
            {fields.map((field) => (
              <div className="grant-row" key={field.key}>
                <Form.Item
                  name={[field.name, "doors"]}
                  label={t.access.doors}
                  tooltip={t.access.doorsHint}
                  rules={[
                    { required: true, type: "array", min: 1, message: t.access.grantMissing },
                    { validator: checkDoors },
                  ]}
                >
                  <Select mode="tags" tokenSeparators={[",", " ", "，"]} options={doors} />
                </Form.Item>
                <Form.Item
                  name={[field.name, "schedule"]}
                  label={t.access.schedule}
                  rules={[{ required: true, message: t.access.grantMissing }]}
                >
                  <Select options={schedules} />
                </Form.Item>
                <Button
                  type="text"
                  icon={<DeleteOutlined />}
                  aria-label={t.remove}
                  onClick={() => remove(field.name)}
                />
              </div>
            ))}
            <Button
              type="dashed"
              block
              icon={<PlusOutlined />}
              onClick={() => add({ doors: [], schedule: ALWAYS })}
            >
              {t.access.addGrant}
            </Button>
          </>
        )}
      </Form.List>
    </Editor>
  );
}
