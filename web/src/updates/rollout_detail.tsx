import { App, Button, Skeleton } from "antd";
import type { ReactNode } from "react";
import { faultOf, type RolloutAction, type RolloutView, type TargetView } from "../api/mod.ts";
import { briefTime, useLanguage } from "../i18n/mod.ts";
import { useConsole, useLive } from "../live/mod.ts";
import { FaultNotice, faultText } from "../ui/mod.ts";
import { auditText, reasonText } from "./audit.ts";
import { ProgressBar } from "./progress_bar.tsx";
import { tallyOf } from "./stages.ts";
import { useRollout } from "./use_rollouts.ts";

/** Boxes that a message names. */
const NAMED_MAX = 10;

type Act = RolloutAction | "roll-back";

/** What may be done to a rollout in each status. */
const ACTIONS: Readonly<Record<RolloutView["status"], readonly Act[]>> = {
  draft: ["submit", "abort"],
  "awaiting-approval": ["approve", "reject"],
  running: ["pause", "abort", "roll-back"],
  paused: ["resume", "abort", "roll-back"],
  standing: ["pause", "abort", "roll-back"],
  finished: ["roll-back"],
  aborted: ["roll-back"],
};

/** What is asked about before it is done. */
function isGrave(action: Act): action is "abort" | "roll-back" {
  return action === "abort" || action === "roll-back";
}

/** One rollout, drawn anew each second: stages, failed boxes with their reasons, who did what. */
export function RolloutDetail({ id }: { readonly id: number }): ReactNode {
  const { language, t } = useLanguage();
  const { api } = useConsole();
  const { message, modal } = App.useApp();
  const { value, fault, look } = useRollout(id);
  const nameOf = useNames();
  if (value === undefined) {
    return fault === undefined
      ? <Skeleton active paragraph={{ rows: 4 }} />
      : <FaultNotice fault={fault} onRetry={look} />;
  }
  const { rollout, failures } = value;
  const act = async (action: Act) => {
    try {
      if (action !== "roll-back") await api.actOnRollout(id, action);
      else {
        const { rollouts, left } = await api.rollBack(id);
        const boxes = rollouts.reduce((sum, { groups }) => sum + groups[0]!.boxes, 0);
        const names = left.slice(0, NAMED_MAX).map(nameOf).join(", ");
        const more = left.length > NAMED_MAX ? ", …" : "";
        const content = t.updates.rolledBack(boxes, left.length, names + more);
        void message.info({ content, duration: 15 });
      }
    } catch (error) {
      void message.error({ content: faultText(faultOf(error), t), duration: 8 });
    }
    look();
  };
  const ask = (action: Act) =>
    !isGrave(action) ? void act(action) : void modal.confirm({
      title: `${t.updates.action[action]} · ${rollout.name}`,
      content: action === "abort"
        ? t.updates.abortAsk
        : t.updates.rollBackAsk(tallyOf(rollout.groups).installed),
      okText: t.updates.action[action],
      cancelText: t.cancel,
      okButtonProps: { danger: true },
      onOk: () => act(action),
    });
  return (
    <>
      {fault && <FaultNotice fault={fault} onRetry={look} />}
      <div className="rollout-actions">
        {ACTIONS[rollout.status].map((action) => (
          <Button
            key={action}
            data-action={action}
            type={["approve", "resume", "submit"].includes(action) ? "primary" : "default"}
            danger={isGrave(action)}
            onClick={() => ask(action)}
          >
            {t.updates.action[action]}
          </Button>
        ))}
        {rollout.silentAfterHours !== undefined && (
          <span className="hint">{t.updates.silent(rollout.silentAfterHours)}</span>
        )}
        {rollout.standing && <span className="hint">{t.updates.standing}</span>}
        {rollout.window && <span className="hint">{t.updates.window(rollout.window.timezone)}
        </span>}
      </div>
      <ol className="rollout-stages">
        {rollout.groups.map((group, index) => (
          <li key={group.name} data-present={rollout.group === index}>
            <strong>
              {group.joined ? t.updates.joined : group.name}{" "}
              {rollout.group === index && <em>{t.updates.present}</em>}
            </strong>
            <ProgressBar tally={tallyOf([group])} />
            <span className="hint">
              {t.updates.stageFacts(group.boxes, group.successPercent, group.errorPercent)}
            </span>
          </li>
        ))}
      </ol>
      <h3>{t.updates.failures}</h3>
      {failures.length === 0
        ? <p className="hint">{t.updates.noFailures}</p>
        : <Failures failures={failures} />}
      <h3>{t.updates.audit}</h3>
      <ul className="rollout-audit">
        {rollout.audit?.map(({ atMs, operator, what }) => (
          <li key={`${atMs} ${JSON.stringify(what)}`}>
            {auditText(what, t)}{" "}
            <span className="hint">
              {t.updates.by(operator, briefTime(language, atMs))}
            </span>
          </li>
        ))}
      </ul>
    </>
  );
}

/** What boxes are called, by their ids. */
function useNames(): (id: string) => string {
  const boxes = useLive((state) => state.boxes);
  return (id) => boxes?.find((box) => box.id === id)?.name ?? id;
}

function Failures(
  { failures }: { readonly failures: readonly TargetView[] },
): ReactNode {
  const { language, t } = useLanguage();
  const nameOf = useNames();
  return (
    <ul className="rollout-failures">
      {failures.map(({ actionId, controllerId, reason, changedMs }) => (
        <li key={actionId}>
          <strong>{nameOf(controllerId)}</strong>
          <span>{reasonText(reason, t)}</span>
          <time className="hint">{briefTime(language, changedMs)}</time>
        </li>
      ))}
    </ul>
  );
}
