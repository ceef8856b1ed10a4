import { Button, Popconfirm } from "antd";
import { DeleteOutlined, EditOutlined } from "@ant-design/icons";
import type { ReactNode } from "react";
import type { ApiFault, PolicySettings } from "../api/mod.ts";
import { useMessages } from "../i18n/mod.ts";

/** What each tab is given. */
export interface TabProps {
  readonly settings: PolicySettings;
  /** Replaces a part; resolves to the fault, if the district refused it. */
  readonly save: (part: Partial<PolicySettings>) => Promise<ApiFault | undefined>;
}

/** A tab's explanation and its button for a new one. */
export function TabHead(
  { hint, label, onAdd }: {
    readonly hint: string;
    readonly label: string;
    readonly onAdd: () => void;
  },
): ReactNode {
  return (
    <div className="tab-head">
      <span className="hint">{hint}</span>
      <Button type="primary" onClick={onAdd}>{label}</Button>
    </div>
  );
}

/** Edit and remove, at the end of an entry. */
export function EntryActions(
  { name, onEdit, onRemove, blocked }: {
    readonly name: string;
    readonly onEdit: () => void;
    readonly onRemove: () => void;
    /** Why it cannot be removed. */
    readonly blocked?: string | undefined;
  },
): ReactNode {
  const t = useMessages();
  return (
    <span className="entry-actions">
      <Button
        type="text"
        icon={<EditOutlined />}
        aria-label={`${t.edit} ${name}`}
        title={t.edit}
        onClick={onEdit}
      />
      <Popconfirm
        title={`${t.remove}: ${name}?`}
        okText={t.remove}
        okButtonProps={{ danger: true }}
        onConfirm={onRemove}
        disabled={blocked !== undefined}
      >
        <Button
          type="text"
          icon={<DeleteOutlined />}
          aria-label={`${t.remove} ${name}`}
          title={blocked ?? t.remove}
          disabled={blocked !== undefined}
        />
      </Popconfirm>
    </span>
  );
}
