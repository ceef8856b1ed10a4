import { Segmented } from "antd";
import type { ReactNode } from "react";
import { type Language, LANGUAGES, useLanguage } from "../i18n/mod.ts";

const SHORT: Readonly<Record<Language, string>> = { "zh-CN": "中文", en: "EN" };

/** 中文 or English; remembered. */
export function LanguageSwitch(): ReactNode {
  const { language, choose } = useLanguage();
  return (
    <Segmented<Language>
      size="small"
      aria-label="语言 / Language"
      value={language}
      onChange={choose}
      options={LANGUAGES.map((value) => ({ value, label: SHORT[value] }))}
    />
  );
}
