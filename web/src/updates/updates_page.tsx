import { PlusOutlined } from "@ant-design/icons";
import { Button, Empty, Skeleton, Tag } from "antd";
import { type ReactNode, useState } from "react";
import type { RolloutView } from "../api/mod.ts";
import { useMessages } from "../i18n/mod.ts";
import { FaultNotice, PageHead } from "../ui/mod.ts";
import { NewRollout } from "./new_rollout.tsx";
import { ProgressBar } from "./progress_bar.tsx";
import { RolloutDetail } from "./rollout_detail.tsx";
import { tallyOf } from "./stages.ts";
import { useRollouts } from "./use_rollouts.ts";

const COLOURS: Readonly<Record<RolloutView["status"], string>> = {
  draft: "default",
  "awaiting-approval": "gold",
  running: "processing",
  paused: "orange",
  standing: "cyan",
  finished: "success",
  aborted: "error",
};

/** Rollouts with their progress; one is open. */
export function UpdatesPage(): ReactNode {
  const t = useMessages();
  const { value: rollouts, fault, look } = useRollouts();
  const [chosen, setChosen] = useState<number>();
  const [adding, setAdding] = useState(false);
  const open = chosen ?? rollouts?.[0]?.id;
  const addButton = (
    <Button type="primary" icon={<PlusOutlined />} onClick={() => setAdding(true)}>
      {t.updates.add}
    </Button>
  );
  return (
    <>
      <PageHead title={t.updates.title}>
        {rollouts && rollouts.length > 0 && addButton}
      </PageHead>
      {fault && <FaultNotice fault={fault} onRetry={look} />}
      {rollouts === undefined && fault === undefined && (
        <div className="panel pad">
          <Skeleton active paragraph={{ rows: 4 }} />
        </div>
      )}
      {rollouts?.length === 0 && (
        <div className="panel pad">
          <Empty
            image={Empty.PRESENTED_IMAGE_SIMPLE}
            description={
              <>
                <h2>{t.updates.none}</h2>
                <p>{t.updates.noneHint}</p>
              </>
            }
          >
            {addButton}
          </Empty>
        </div>
      )}
      {rollouts?.map((rollout) => (
        <section
          key={rollout.id}
          className="panel pad rollout"
          data-rollout={rollout.id}
          data-status={rollout.status}
        >
          <button
            type="button"
            className="rollout-head"
            aria-expanded={open === rollout.id}
            onClick={() => setChosen(rollout.id)}
          >
            <h2>{rollout.name}</h2>
            <Tag color={COLOURS[rollout.status]}>{t.updates.status[rollout.status]}</Tag>
            <code>{rollout.release}</code>
          </button>
          <ProgressBar tally={tallyOf(rollout.groups)} />
          {rollout.pausedBy === "errors" && (
            <p className="rollout-stopped" role="alert">{t.updates.pausedByErrors}</p>
          )}
          {rollout.pausedBy === "operator" && <p className="hint">{t.updates.pausedByOperator}</p>}
          {open === rollout.id && <RolloutDetail id={rollout.id} />}
        </section>
      ))}
      {adding && (
        <NewRollout
          onClose={() => setAdding(false)}
          onMade={(id) => {
            setAdding(false);
            setChosen(id);
            look();
          }}
        />
      )}
    </>
  );
}
