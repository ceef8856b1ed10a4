import { Skeleton, Tabs } from "antd";
import { type ReactNode, useEffect, useState } from "react";
import { type ApiFault, faultOf, type PolicySettings } from "../api/mod.ts";
import { useMessages } from "../i18n/mod.ts";
import { useConsole } from "../live/mod.ts";
import { FaultNotice, PageHead } from "../ui/mod.ts";
import { HolidaysTab } from "./holidays_tab.tsx";
import { LevelsTab } from "./levels_tab.tsx";
import { SchedulesTab } from "./schedules_tab.tsx";
import type { TabProps } from "./tab.tsx";

/** Access levels, schedules and holidays. Each change is checked and published at once. */
export function AccessPage(): ReactNode {
  const t = useMessages();
  const { api } = useConsole();
  const [settings, setSettings] = useState<PolicySettings>();
  const [fault, setFault] = useState<ApiFault>();
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    api.policy().then((loaded) => {
      setSettings(loaded);
      setFault(undefined);
    }, (error) => setFault(faultOf(error)));
  }, [api, attempt]);

  const save: TabProps["save"] = async (part) => {
    try {
      // Read again first: two operators may edit different lists.
      setSettings(await api.putPolicy({ ...await api.policy(), ...part }));
      return undefined;
    } catch (error) {
      return faultOf(error);
    }
  };
  return (
    <>
      <PageHead title={t.access.title} />
      {fault && <FaultNotice fault={fault} onRetry={() => setAttempt((n) => n + 1)} />}
      {!fault && !settings && <Skeleton active paragraph={{ rows: 6 }} />}
      {settings && (
        <Tabs
          items={[
            {
              key: "levels",
              label: `${t.access.levels} ${settings.accessLevels.length}`,
              children: <LevelsTab settings={settings} save={save} />,
            },
            {
              key: "schedules",
              label: `${t.access.schedules} ${settings.schedules.length}`,
              children: <SchedulesTab settings={settings} save={save} />,
            },
            {
              key: "holidays",
              label: `${t.access.holidays} ${settings.holidays.length}`,
              children: <HolidaysTab settings={settings} save={save} />,
            },
          ]}
        />
      )}
    </>
  );
}
