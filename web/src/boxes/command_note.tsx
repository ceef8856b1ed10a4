import {
  CheckCircleFilled,
  CloseOutlined,
  LoadingOutlined,
  WarningFilled,
} from "@ant-design/icons";
import { Button } from "antd";
import type { ReactNode } from "react";
import { type Messages, useMessages } from "../i18n/mod.ts";
import { faultText } from "../ui/mod.ts";
import type { DoorCommands, LastCommand } from "./use_door_commands.ts";

/** How the last command went, under the door it was for. */
export function CommandNote({ commands }: { readonly commands: DoorCommands }): ReactNode {
  const t = useMessages();
  const { last } = commands;
  return (
    <div className="command-note" aria-live="polite" data-state={last?.state ?? "none"}>
      {last !== undefined && (
        <>
          <Icon last={last} />
          <span>
            {last.command.name === "door.mode"
              ? t.command.mode(t.modes[last.command.mode])
              : t.command.open}
            {" · "}
            {stateText(last, t)}
          </span>
          {isFailed(last) && (
            <Button
              size="small"
              type="text"
              aria-label={t.command.dismiss}
              icon={<CloseOutlined />}
              onClick={commands.dismiss}
            />
          )}
        </>
      )}
    </div>
  );
}

function Icon({ last }: { readonly last: LastCommand }): ReactNode {
  if (isFailed(last)) return <WarningFilled />;
  return last.state === "done" ? <CheckCircleFilled /> : <LoadingOutlined />;
}

function isFailed({ state }: LastCommand): boolean {
  return state !== "sending" && state !== "pending" && state !== "done";
}

function stateText(last: LastCommand, t: Messages): string {
  const detail = last.detail === undefined ? "" : `: ${last.detail}`;
  switch (last.state) {
    case "sending":
    case "pending":
      return t.command.waiting;
    case "lost":
      return t.command.noAnswer;
    case "not-sent":
      return `${t.command.notSent}${last.fault ? `: ${faultText(last.fault, t)}` : ""}`;
    case "done":
    case "refused":
    case "expired":
    case "failed":
      return t.command.states[last.state] + detail;
    default:
      return last.state satisfies never;
  }
}
