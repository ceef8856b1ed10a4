import { App as AntApp, ConfigProvider } from "antd";
import { type ReactNode, useEffect, useMemo, useState } from "react";
import { type Api, type ApiFault, faultOf, type Session } from "../api/mod.ts";
import { after } from "../clock.ts";
import { useLanguage } from "../i18n/mod.ts";
import { LOCALES } from "./locales.ts";
import { FaultNotice } from "../ui/mod.ts";
import { LoginPage } from "./login.tsx";
import { Shell } from "./shell.tsx";
import { type Appearance, initialAppearance, rememberAppearance, themeOf } from "./theme.ts";

/** Without the district there is nothing to show; it is asked again this often. */
const RETRY_MS = 3_000;

/** The whole console: who is logged in decides what is shown. */
export function App({ api }: { readonly api: Api }): ReactNode {
  const { language } = useLanguage();
  const [appearance, setAppearance] = useState<Appearance>(initialAppearance);
  const theme = useMemo(() => themeOf(appearance), [appearance]);
  useEffect(() => {
    document.documentElement.dataset.appearance = appearance;
  }, [appearance]);
  const toggle = () => {
    const next = appearance === "dark" ? "light" : "dark";
    setAppearance(next);
    rememberAppearance(next);
  };
  return (
    <ConfigProvider locale={LOCALES[language]} theme={theme} button={{ autoInsertSpace: false }}>
      <AntApp component={false}>
        <Entrance api={api} onToggleAppearance={toggle} appearance={appearance} />
      </AntApp>
    </ConfigProvider>
  );
}

function Entrance(
  { api, appearance, onToggleAppearance }: {
    readonly api: Api;
    readonly appearance: Appearance;
    readonly onToggleAppearance: () => void;
  },
): ReactNode {
  // `undefined` is not known yet, `null` is nobody.
  const [session, setSession] = useState<Session | null>();
  const [fault, setFault] = useState<ApiFault>();
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    let stop = () => {};
    api.session().then(setSession, (error) => {
      const failed = faultOf(error);
      if (failed.kind === "unauthenticated") setSession(null);
      else {
        setFault(failed);
        stop = after(RETRY_MS, () => setAttempt((n) => n + 1));
      }
    });
    return () => stop();
  }, [api, attempt]);

  if (session === undefined) {
    return fault === undefined ? null : (
      <main className="login">
        <FaultNotice fault={fault} onRetry={() => setAttempt((n) => n + 1)} />
      </main>
    );
  }
  if (session === null) return <LoginPage api={api} onLogin={setSession} />;
  return (
    <Shell
      api={api}
      session={session}
      appearance={appearance}
      onToggleAppearance={onToggleAppearance}
      onLoggedOut={() => setSession(null)}
    />
  );
}
