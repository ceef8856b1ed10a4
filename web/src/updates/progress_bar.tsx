import type { ReactNode } from "react";
import { useMessages } from "../i18n/mod.ts";
import type { Tally } from "./stages.ts";

/** Installed, failed, and left, as one bar; its words say the same. */
export function ProgressBar({ tally }: { readonly tally: Tally }): ReactNode {
  const t = useMessages();
  const { total, installed, failed, left } = tally;
  const width = (count: number) => ({ width: `${total === 0 ? 0 : count / total * 100}%` });
  const words = t.updates.tally(installed, failed, left);
  return (
    <div className="rollout-progress">
      <div className="rollout-bar" role="img" aria-label={words}>
        <i data-part="installed" style={width(installed)} />
        <i data-part="failed" style={width(failed)} />
      </div>
      <span>{words}</span>
    </div>
  );
}
