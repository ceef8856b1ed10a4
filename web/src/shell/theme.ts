import { theme as antd, type ThemeConfig } from "antd";

/** Light or dark. */
export type Appearance = "light" | "dark";

const STORAGE_KEY = "gatehouse.appearance";

/** What was chosen before, else what the system prefers. */
export function initialAppearance(): Appearance {
  try {
    const value = localStorage.getItem(STORAGE_KEY);
    if (value === "light" || value === "dark") return value;
  } catch {
    // Storage is forbidden; the system's preference stands.
  }
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** Remembers the choice. */
export function rememberAppearance(appearance: Appearance): void {
  try {
    localStorage.setItem(STORAGE_KEY, appearance);
  } catch {
    // Then it lasts as long as the page.
  }
}

/** What Ant Design derives from a tinted base turns blue. */
const DARK_SURFACES = {
  colorBgContainer: "#12191d",
  colorBgElevated: "#1a2429",
  colorBgSpotlight: "#2b3940",
  colorBorder: "#35434b",
  colorBorderSecondary: "#273238",
  colorFillTertiary: "#1c252a",
};

/** Ant Design in Gatehouse's colours: quiet, compact, no shadows where a line will do. */
export function themeOf(appearance: Appearance): ThemeConfig {
  const dark = appearance === "dark";
  return {
    algorithm: dark ? antd.darkAlgorithm : antd.defaultAlgorithm,
    token: {
      colorPrimary: dark ? "#2dd4bf" : "#0f766e",
      colorInfo: dark ? "#2dd4bf" : "#0f766e",
      colorLink: dark ? "#5eead4" : "#0f766e",
      colorError: dark ? "#f87171" : "#c81e1e",
      colorSuccess: dark ? "#4ade80" : "#15803d",
      colorWarning: dark ? "#fbbf24" : "#b45309",
      colorTextBase: dark ? "#e6edf0" : "#16232b",
      colorBgBase: dark ? "#12191d" : "#ffffff",
      colorBgLayout: dark ? "#0c1114" : "#f4f6f7",
      ...(dark ? DARK_SURFACES : {}),
      borderRadius: 7,
      fontSize: 14,
      controlHeight: 34,
      fontFamily:
        'system-ui, -apple-system, "Segoe UI", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC", sans-serif',
      fontFamilyCode: 'ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", monospace',
    },
    components: {
      Button: { primaryShadow: "none", defaultShadow: "none", dangerShadow: "none" },
      Table: { cellPaddingBlock: 9, headerBg: "transparent" },
    },
  };
}
