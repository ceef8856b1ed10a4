import type { Language } from "../i18n/mod.ts";

/** The largest file that a district takes. */
export const IMPORT_BYTES_MAX: number = 32 << 20;

const TEMPLATES: Readonly<Record<Language, string>> = {
  en: [
    "number,name,access levels,card bits,card hex,valid until,active",
    "2026001,Li Hua,student,32,04a1b2c3,2027-07-15,yes",
    "2026002,Wang Fang,staff,32,04d5e6f7,,yes",
  ].join("\r\n"),
  "zh-CN": [
    "学号,姓名,权限,卡位数,卡号十六进制,有效期至,启用",
    "2026001,李华,student,32,04a1b2c3,2027-07-15,是",
    "2026002,王芳,staff,32,04d5e6f7,,是",
  ].join("\r\n"),
};

/** A file to fill in. The mark in front tells Excel that it is UTF-8. */
export function templateCsv(language: Language): Blob {
  return new Blob([`\ufeff${TEMPLATES[language]}\r\n`], { type: "text/csv;charset=utf-8" });
}

/** The names of its columns. */
export function templateColumns(language: Language): readonly string[] {
  return TEMPLATES[language].split("\r\n")[0]!.split(",");
}

/** Hands a file to the browser's downloads. */
export function download(file: Blob, name: string): void {
  const url = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
