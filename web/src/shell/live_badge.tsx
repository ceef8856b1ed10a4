import { Tooltip } from "antd";
import type { ReactNode } from "react";
import { useMessages } from "../i18n/mod.ts";
import { useLive } from "../live/mod.ts";

/** Whether what is shown is up to date. */
export function LiveBadge(): ReactNode {
  const t = useMessages();
  const connection = useLive((state) => state.connection);
  return (
    <Tooltip title={t.header.liveHint[connection]}>
      <span className="live" data-connection={connection} role="status" tabIndex={0}>
        <i /> <span>{t.header.live[connection]}</span>
      </span>
    </Tooltip>
  );
}
