import type { Language, Text } from "../language.ts";
import type { BoxState } from "./state.ts";

/** What the page shows of a box besides its state: nothing of it is a secret. */
export interface PageFacts {
  readonly name: string;
  readonly version: string;
  readonly addresses: readonly string[];
  readonly readers: readonly { readonly id: string; readonly online: boolean }[];
}

const GOOD = ["works", "alone"];
const WAITING = ["joining", "starting", "offline", "no-network"];
/** Asked for again by itself, in seconds. */
const REFRESH_S = 5;
const STYLE = `
:root { color-scheme: light dark; font: 17px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 34rem; padding: 1.25rem; }
h1 { font-size: 1.15rem; margin: 0 0 1rem; overflow-wrap: anywhere; }
.state { border-left: .4rem solid #c2410c; padding: .2rem 0 .2rem .9rem; overflow-wrap: anywhere; }
.state.good { border-color: #15803d; }
.state.waiting { border-color: #a16207; }
.state strong { display: block; font-size: 1.35rem; line-height: 1.3; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1rem; margin: 1.5rem 0 0; }
dt { opacity: .7; } dd { margin: 0; overflow-wrap: anywhere; }
`;
const WORDS = {
  version: { zh: "版本", en: "Version" },
  addresses: { zh: "地址", en: "Addresses" },
  readers: { zh: "读卡器", en: "Readers" },
  online: { zh: "在线", en: "online" },
  offline: { zh: "离线", en: "offline" },
  none: { zh: "无", en: "none" },
} as const satisfies Readonly<Record<string, Text>>;

/** The page in `language`, whole: no script, nothing from elsewhere. */
export function statusPage(
  { kind, what, advice }: BoxState,
  { name, version, addresses, readers }: PageFacts,
  language: Language,
): string {
  const colour = GOOD.includes(kind) ? "good" : WAITING.includes(kind) ? "waiting" : "bad";
  const word = (text: Text) => escaped(text[language]);
  const list = (items: readonly string[]) =>
    items.length === 0 ? word(WORDS.none) : items.map(escaped).join("<br>");
  const readerLines = readers.map(({ id, online }) =>
    `${id}: ${(online ? WORDS.online : WORDS.offline)[language]}`
  );
  return `<!doctype html>
<html lang="${language === "zh" ? "zh-CN" : "en"}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="${REFRESH_S}">
<title>${escaped(name)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Gatehouse · ${escaped(name)}</h1>
<div class="state ${colour}" data-state="${kind}">
<strong>${word(what)}</strong>${advice === undefined ? "" : `\n${word(advice)}`}
</div>
<dl>
<dt>${word(WORDS.version)}</dt><dd>${escaped(version)}</dd>
<dt>${word(WORDS.addresses)}</dt><dd>${list(addresses)}</dd>
<dt>${word(WORDS.readers)}</dt><dd>${list(readerLines)}</dd>
</dl>
</body>
</html>
`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** The language that a browser asks for first: Chinese when it names it before English. */
export function languageAsked(header: string | null): Language {
  const first = /\b(zh|en)\b/i.exec((header ?? "").slice(0, 500))?.[1];
  return first?.toLowerCase() === "zh" ? "zh" : "en";
}
