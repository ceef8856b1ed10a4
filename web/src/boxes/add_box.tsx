import { Alert, Modal, Skeleton } from "antd";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { type ApiFault, type EnrolmentToken, faultOf } from "../api/mod.ts";
import { shortTime, useLanguage } from "../i18n/mod.ts";
import { useConsole, useLive } from "../live/mod.ts";
import { CopyButton, FaultNotice } from "../ui/mod.ts";

/** Makes a token, shows the line to run, and says when the box has come. */
export function AddBox({ onClose }: { readonly onClose: () => void }): ReactNode {
  const { language, t } = useLanguage();
  const { api } = useConsole();
  const boxes = useLive((state) => state.boxes);
  const [token, setToken] = useState<EnrolmentToken>();
  const [fault, setFault] = useState<ApiFault>();
  const before = useRef(new Set(boxes?.map((box) => box.id)));
  const asked = useRef(false);
  useEffect(() => {
    if (asked.current) return; // One token a dialog, however often it is drawn.
    asked.current = true;
    api.enrolmentToken().then(setToken, (error) => setFault(faultOf(error)));
  }, [api]);
  const arrived = boxes?.find((box) => !before.current.has(box.id));
  return (
    <Modal open title={t.enrol.title} footer={null} onCancel={onClose} width={640}>
      {fault && <FaultNotice fault={fault} />}
      {!fault && !token && <Skeleton active paragraph={{ rows: 3 }} />}
      {token && (
        <>
          <p>{t.enrol.intro}</p>
          <pre className="command-line"><code>{token.command}</code></pre>
          <div className="command-copy">
            <CopyButton text={token.command} label={t.copy}>{t.copy}</CopyButton>
            <CopyButton text={token.token} label={t.enrol.token}>{t.enrol.token}</CopyButton>
            <span>{t.enrol.expires(shortTime(language, token.expiresMs))}</span>
          </div>
          <p className="hint">{t.enrol.pin}</p>
          {arrived
            ? <Alert type="success" showIcon title={t.enrol.arrived(arrived.name)} />
            : <p className="hint">{t.enrol.waiting}</p>}
        </>
      )}
    </Modal>
  );
}
