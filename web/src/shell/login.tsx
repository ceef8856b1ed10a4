import { LockOutlined, UserOutlined } from "@ant-design/icons";
import { Alert, Button, Form, Input, type InputRef } from "antd";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { type Api, type ApiFault, faultOf, type Session } from "../api/mod.ts";
import { nowMs } from "../clock.ts";
import { type Messages, useMessages } from "../i18n/mod.ts";
import { useNow } from "../live/mod.ts";
import { LanguageSwitch } from "./language_switch.tsx";
import { Logo } from "./logo.tsx";

/** What to wait when a 429 does not say. */
const RETRY_SECONDS_DEFAULT = 30;

interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** Name and password. */
export function LoginPage(
  { api, onLogin }: { readonly api: Api; readonly onLogin: (session: Session) => void },
): ReactNode {
  const t = useMessages();
  const [form] = Form.useForm<Credentials>();
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<ApiFault>();
  const [blockedUntilMs, setBlockedUntilMs] = useState(0);
  const password = useRef<InputRef>(null);
  const now = useNow(500);
  const waitSeconds = Math.max(0, Math.ceil((blockedUntilMs - now) / 1000));
  const limited = fault?.kind === "rate-limited";
  useEffect(() => {
    if (limited && waitSeconds === 0) setFault(undefined);
  }, [limited, waitSeconds]);

  const submit = async (request: Credentials) => {
    setBusy(true);
    try {
      onLogin(await api.login(request));
    } catch (error) {
      const failed = faultOf(error);
      if (failed.kind === "rate-limited") {
        setBlockedUntilMs(nowMs() + (failed.retryAfterSeconds ?? RETRY_SECONDS_DEFAULT) * 1000);
      }
      setFault(failed);
      setBusy(false);
      form.setFieldValue("password", "");
      password.current?.focus();
    }
  };
  return (
    <main className="login">
      <div className="login-language">
        <LanguageSwitch />
      </div>
      <div className="login-card">
        <div className="login-brand">
          <Logo size={36} />
          <h1>{t.product}</h1>
        </div>
        <Form<Credentials>
          form={form}
          layout="vertical"
          requiredMark={false}
          onFinish={(values) => void submit(values)}
        >
          <Form.Item
            name="username"
            label={t.login.username}
            rules={[{ required: true, message: t.login.usernameMissing }]}
          >
            <Input size="large" autoFocus autoComplete="username" prefix={<UserOutlined />} />
          </Form.Item>
          <Form.Item
            name="password"
            label={t.login.password}
            rules={[{ required: true, message: t.login.passwordMissing }]}
          >
            <Input.Password
              ref={password}
              size="large"
              autoComplete="current-password"
              prefix={<LockOutlined />}
            />
          </Form.Item>
          {fault && (
            <Alert
              className="login-fault"
              type={fault.kind === "rate-limited" ? "warning" : "error"}
              showIcon
              role="alert"
              title={loginFaultText(fault, waitSeconds, t)}
            />
          )}
          <Button
            type="primary"
            size="large"
            htmlType="submit"
            block
            loading={busy}
            disabled={waitSeconds > 0}
          >
            {t.login.submit}
          </Button>
        </Form>
      </div>
    </main>
  );
}

function loginFaultText(fault: ApiFault, waitSeconds: number, t: Messages): string {
  switch (fault.kind) {
    case "unauthenticated":
      return t.login.wrong;
    case "rate-limited":
      return t.login.limited(waitSeconds);
    case "unreachable":
      return t.login.unreachable;
    case "server":
      return t.fault.server;
    case "invalid":
    case "refused":
      return t.fault.other(fault.message);
    default:
      return fault.kind satisfies never;
  }
}
