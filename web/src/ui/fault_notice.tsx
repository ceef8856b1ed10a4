import { Alert, Button } from "antd";
import type { ReactNode } from "react";
import type { ApiFault } from "../api/mod.ts";
import { type Messages, useMessages } from "../i18n/mod.ts";

/** What went wrong, for an operator. */
export function faultText(fault: ApiFault, t: Messages): string {
  if (fault.kind === "unreachable") return t.fault.unreachable;
  if (fault.kind === "server") return t.fault.server;
  if (fault.kind === "rate-limited") return t.login.limited(fault.retryAfterSeconds ?? 60);
  return t.fault.other(fault.message);
}

/** A failed call in place of what it should have brought. */
export function FaultNotice(
  { fault, onRetry }: { readonly fault: ApiFault; readonly onRetry?: () => void },
): ReactNode {
  const t = useMessages();
  return (
    <Alert
      type="error"
      showIcon
      role="alert"
      title={faultText(fault, t)}
      action={onRetry && <Button size="small" onClick={onRetry}>{t.retry}</Button>}
    />
  );
}
