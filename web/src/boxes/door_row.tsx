import { LockOutlined, UnlockOutlined } from "@ant-design/icons";
import { App, Button, Tooltip } from "antd";
import type { ReactNode } from "react";
import type { BoxCommand, BoxView, DoorMode, DoorStatus } from "../api/mod.ts";
import { type Messages, useMessages } from "../i18n/mod.ts";
import { CommandNote } from "./command_note.tsx";
import { type DoorCommands, useDoorCommands } from "./use_door_commands.ts";

/** One door: how it stands, and what can be asked of it. */
export function DoorRow(
  { box, door }: { readonly box: BoxView; readonly door: DoorStatus },
): ReactNode {
  const t = useMessages();
  const commands = useDoorCommands(box.id, door.id);
  return (
    <li className="door" data-door={door.id} data-alarm={door.alarm ?? "none"}>
      <div className="door-state">
        <span className="door-lock" data-unlocked={door.unlocked} aria-hidden>
          {door.unlocked ? <UnlockOutlined /> : <LockOutlined />}
        </span>
        <div>
          <strong>{door.id}</strong>
          <span className="door-tags">
            <Tags door={door} t={t} />
          </span>
        </div>
      </div>
      <div className="door-actions" role="group" aria-label={t.door.actions(door.id)}>
        <DoorButtons box={box} door={door} commands={commands} />
      </div>
      <CommandNote commands={commands} />
    </li>
  );
}

function Tags({ door, t }: { readonly door: DoorStatus; readonly t: Messages }): ReactNode {
  return (
    <>
      {door.mode !== "normal" && <em data-tag={door.mode}>{t.modes[door.mode]}</em>}
      {door.alarm !== undefined && <em data-tag="alarm">{t.door[door.alarm]}</em>}
      <span data-tag={door.unlocked ? "unlocked" : "secure"}>
        {door.unlocked ? t.door.unlocked : t.door.secure}
      </span>
      <span>
        {door.open === undefined ? t.door.noContact : door.open ? t.door.open : t.door.closed}
      </span>
    </>
  );
}

interface Action {
  readonly key: "open" | DoorMode;
  readonly label: string;
  readonly hint: string;
  readonly command: BoxCommand;
  readonly confirm?: { readonly title: string; readonly text: string; readonly danger: boolean };
}

function actionsOf(door: string, t: Messages): readonly Action[] {
  const mode = (value: DoorMode): BoxCommand => ({ name: "door.mode", door, mode: value });
  return [
    {
      key: "open",
      label: t.door.openNow,
      hint: t.door.openNowHint,
      command: { name: "door.open", door },
    },
    {
      key: "locked",
      label: t.door.lock,
      hint: t.door.lockHint,
      command: mode("locked"),
      confirm: { title: t.door.confirmLock(door), text: t.door.confirmLockText, danger: true },
    },
    {
      key: "free",
      label: t.door.free,
      hint: t.door.freeHint,
      command: mode("free"),
      confirm: { title: t.door.confirmFree(door), text: t.door.confirmFreeText, danger: true },
    },
    { key: "normal", label: t.door.normal, hint: t.door.normalHint, command: mode("normal") },
  ];
}

function DoorButtons(
  { box, door, commands }: {
    readonly box: BoxView;
    readonly door: DoorStatus;
    readonly commands: DoorCommands;
  },
): ReactNode {
  const t = useMessages();
  const { modal } = App.useApp();
  return actionsOf(door.id, t).map((action) => {
    const blocked = !box.online
      ? t.door.offlineReason
      : action.key === door.mode
      ? t.door.modeReason(t.modes[door.mode])
      : undefined;
    const run = () => void commands.give(action.command);
    const onClick = () => {
      const { confirm } = action;
      if (confirm === undefined) run();
      else {
        modal.confirm({
          title: `${box.name} · ${confirm.title}`,
          content: confirm.text,
          okText: action.label,
          cancelText: t.cancel,
          okButtonProps: { danger: confirm.danger },
          autoFocusButton: "cancel",
          onOk: run,
        });
      }
    };
    return (
      <Tooltip key={action.key} title={blocked ?? action.hint} mouseEnterDelay={0.3}>
        {/* A disabled button takes no focus and shows no tooltip: the span does. */}
        <span tabIndex={blocked === undefined ? -1 : 0} aria-label={blocked}>
          <Button
            size="small"
            type={action.key === "open" ? "primary" : "default"}
            data-action={action.key}
            data-current={action.key === door.mode}
            disabled={blocked !== undefined}
            loading={commands.isPending(action.command)}
            onClick={onClick}
          >
            {action.label}
          </Button>
        </span>
      </Tooltip>
    );
  });
}
