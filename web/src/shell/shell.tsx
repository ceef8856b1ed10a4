import {
  ApartmentOutlined,
  CloudDownloadOutlined,
  LogoutOutlined,
  MoonOutlined,
  SafetyCertificateOutlined,
  SunOutlined,
  TeamOutlined,
  ThunderboltOutlined,
} from "@ant-design/icons";
import { Button, Skeleton, Tooltip } from "antd";
import { type ComponentType, lazy, type ReactNode, Suspense, useEffect, useMemo } from "react";
import type { Api, Session } from "../api/mod.ts";
import { useMessages } from "../i18n/mod.ts";
import { ConsoleContext, LiveStore } from "../live/mod.ts";
import { AlarmBanner } from "./alarm_banner.tsx";
import { LanguageSwitch } from "./language_switch.tsx";
import { LiveBadge } from "./live_badge.tsx";
import { Logo } from "./logo.tsx";
import { type Page, PAGES, usePage } from "./route.ts";
import type { Appearance } from "./theme.ts";

// Each page is a bundle of its own: a guard's phone loads no import or schedule editor.
const CONTENT: Readonly<Record<Page, ComponentType>> = {
  boxes: lazy(async () => ({ default: (await import("../boxes/boxes_page.tsx")).BoxesPage })),
  events: lazy(async () => ({ default: (await import("../events/events_page.tsx")).EventsPage })),
  people: lazy(async () => ({ default: (await import("../people/people_page.tsx")).PeoplePage })),
  access: lazy(async () => ({ default: (await import("../access/access_page.tsx")).AccessPage })),
  updates: lazy(async () => ({
    default: (await import("../updates/updates_page.tsx")).UpdatesPage,
  })),
};

const ICONS: Readonly<Record<Page, ReactNode>> = {
  boxes: <ApartmentOutlined />,
  events: <ThunderboltOutlined />,
  people: <TeamOutlined />,
  access: <SafetyCertificateOutlined />,
  updates: <CloudDownloadOutlined />,
};

/** Everything around the pages, for somebody who is logged in. */
export function Shell(
  { api, session, appearance, onToggleAppearance, onLoggedOut }: {
    readonly api: Api;
    readonly session: Session;
    readonly appearance: Appearance;
    readonly onToggleAppearance: () => void;
    readonly onLoggedOut: () => void;
  },
): ReactNode {
  const t = useMessages();
  const page = usePage();
  const store = useMemo(
    () => new LiveStore(api, () => new EventSource("/api/live"), onLoggedOut),
    [api],
  );
  useEffect(() => {
    const stop = new AbortController();
    void store.run(stop.signal);
    const retry = () => store.retryNow();
    globalThis.addEventListener("online", retry);
    return () => {
      stop.abort();
      globalThis.removeEventListener("online", retry);
    };
  }, [store]);
  const context = useMemo(() => ({ api, store }), [api, store]);
  const logout = () => void api.logout().catch(() => {}).finally(onLoggedOut);
  const Content = CONTENT[page];
  return (
    <ConsoleContext value={context}>
      <div className="shell">
        <header className="bar">
          <a className="brand" href="#/boxes">
            <Logo size={26} />
            <span>{session.districtName}</span>
          </a>
          <nav aria-label={t.header.menu}>
            {PAGES.map((name) => (
              <a
                key={name}
                href={`#/${name}`}
                aria-current={name === page ? "page" : undefined}
              >
                {ICONS[name]} <span>{t.nav[name]}</span>
              </a>
            ))}
          </nav>
          <div className="bar-end">
            <LiveBadge />
            <LanguageSwitch />
            <Tooltip title={t.header.theme}>
              <Button
                type="text"
                aria-label={t.header.theme}
                icon={appearance === "dark" ? <SunOutlined /> : <MoonOutlined />}
                onClick={onToggleAppearance}
              />
            </Tooltip>
            <Tooltip title={`${t.header.logout} (${session.username})`}>
              <Button
                type="text"
                aria-label={t.header.logout}
                icon={<LogoutOutlined />}
                onClick={logout}
              />
            </Tooltip>
          </div>
        </header>
        <AlarmBanner />
        <main className="page">
          <Suspense fallback={<Skeleton active paragraph={{ rows: 6 }} />}>
            <Content />
          </Suspense>
        </main>
      </div>
    </ConsoleContext>
  );
}
