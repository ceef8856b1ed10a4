import type { ConfigProviderProps } from "antd";
import enUs from "antd/es/locale/en_US.js";
import zhCn from "antd/es/locale/zh_CN.js";
import type { Language } from "../i18n/mod.ts";

type Locale = NonNullable<ConfigProviderProps["locale"]>;

/** Ant Design's own words. Its types call these files CommonJS; the bundler takes the ES modules. */
export const LOCALES: Readonly<Record<Language, Locale>> = {
  en: enUs as unknown as Locale,
  "zh-CN": zhCn as unknown as Locale,
};
