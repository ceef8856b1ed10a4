/**
 * The screen of `gatehouse io`: what it shows, and what its keys do. Pure: no terminal here.
 *
 * @module
 */
import { type Language, padColumns, type Text, text } from "../language.ts";
import type { IoSnapshot } from "./bench.ts";

/** What the person at the keyboard is about to do. */
export type IoPrompt =
  | { readonly kind: "watching"; readonly note?: Text }
  | { readonly kind: "choosing"; readonly typed: string }
  | { readonly kind: "confirming"; readonly output: string; readonly typed: string };

/** What a key asks for. */
export type IoOrder =
  | { readonly kind: "none" }
  | { readonly kind: "quit" }
  /** May this output be driven? The answer is the next prompt. */
  | { readonly kind: "check"; readonly output: string }
  | { readonly kind: "drive"; readonly output: string };

const NONE: IoOrder = { kind: "none" };
/** Longest id, and more than any number. */
const TYPED_MAX = 64;

/** What `key` (one character as a raw terminal sends it) does. */
export function pressKey(
  prompt: IoPrompt,
  key: string,
  outputs: readonly string[],
): { readonly prompt: IoPrompt; readonly order: IoOrder } {
  const watching: IoPrompt = { kind: "watching" };
  if (key === "\x03" || key === "\x04") return { prompt: watching, order: { kind: "quit" } };
  if (prompt.kind === "watching") {
    if (key === "q") return { prompt, order: { kind: "quit" } };
    if (key === "d" && outputs.length > 0) {
      return { prompt: { kind: "choosing", typed: "" }, order: NONE };
    }
    return { prompt, order: NONE };
  }
  if (key === "\x1b") return { prompt: watching, order: NONE };
  if (key === "\x7f" || key === "\b") {
    return { prompt: { ...prompt, typed: prompt.typed.slice(0, -1) }, order: NONE };
  }
  if (key !== "\r" && key !== "\n") {
    const typed = (prompt.typed + (key >= " " ? key : "")).slice(0, TYPED_MAX);
    return { prompt: { ...prompt, typed }, order: NONE };
  }
  if (prompt.kind === "choosing") {
    const typed = prompt.typed.trim();
    const output = outputs.includes(typed)
      ? typed
      : /^\d{1,3}$/.test(typed)
      ? outputs[Number(typed) - 1]
      : undefined;
    if (output === undefined) {
      const note = text(`没有输出 ${typed}`, `there is no output ${typed}`);
      return { prompt: { kind: "watching", note }, order: NONE };
    }
    return { prompt: watching, order: { kind: "check", output } };
  }
  // Nothing but a typed y: a habit of pressing Enter opens no door.
  if (prompt.typed.trim().toLowerCase() === "y") {
    return { prompt: watching, order: { kind: "drive", output: prompt.output } };
  }
  const note = text("未动作", "nothing was driven");
  return { prompt: { kind: "watching", note }, order: NONE };
}

const WORDS = {
  inputs: text("输入", "Inputs"),
  readers: text("读卡器", "Readers"),
  outputs: text("输出", "Outputs"),
  sensors: text("传感器", "Sensors"),
  expanders: text("扩展板", "Expanders"),
  active: text("● 触发", "● active"),
  idle: text("○ 静止", "○ at rest"),
  unknown: text("? 未知", "? unknown"),
  online: text("在线", "online"),
  offline: text("离线", "OFFLINE"),
  tamper: text("防拆报警", "TAMPER"),
  driving: text("动作中", "driven now"),
  lock: text("门锁：", "lock of "),
  changes: text("次变化", "changes"),
  card: text("卡", "card"),
  keys: text("按键", "keys"),
  bits: text("位", "bits"),
  open: text("断线", "broken wire"),
  short: text("短路", "short circuit"),
  contradiction: text("两触点矛盾", "contacts contradict"),
  none: text("（无）", "(none)"),
  help: text(
    "d 驱动一个输出 2 秒 · q 退出（恢复安全状态）",
    "d drive an output for 2 s · q quit (outputs go back to their safe state)",
  ),
  stopped: text(
    "注意：主机程序已停止，刷卡和消防联动现在都不会开门",
    "Mind: the box is stopped. Neither a card nor the fire contact opens a door now",
  ),
} as const;

const ID_COLUMNS = 20;
const STATE_COLUMNS = 12;

/** The screen's lines. */
export function screenLines(
  snapshot: IoSnapshot,
  prompt: IoPrompt,
  language: Language,
): string[] {
  const word = (key: keyof typeof WORDS) => WORDS[key][language];
  const row = (id: string, state: string, rest = "") =>
    `  ${padColumns(id, ID_COLUMNS)}${padColumns(state, STATE_COLUMNS)}${rest}`.trimEnd();
  const lines: string[] = [word("stopped")];
  const part = (name: keyof typeof WORDS, rows: readonly string[]) => {
    if (rows.length > 0) lines.push(word(name), ...rows);
  };
  part(
    "inputs",
    snapshot.inputs.map((input) =>
      row(
        input.id,
        input.fault !== undefined && input.fault in WORDS
          ? word(input.fault as "open" | "short" | "contradiction")
          : word(input.active === null ? "unknown" : input.active ? "active" : "idle"),
        [`${input.changes} ${word("changes")}`, input.use].filter((s) => s !== "").join(" · "),
      )
    ),
  );
  part(
    "readers",
    snapshot.readers.map((reader) =>
      row(reader.id, word(reader.online ? "online" : "offline"), readerText(reader, word))
    ),
  );
  part(
    "outputs",
    snapshot.outputs.map((output, index) =>
      row(
        `${index + 1} ${output.id}`,
        output.driving ? word("driving") : output.active ? "■" : "□",
        output.lockOf === undefined ? "" : `${word("lock")}${output.lockOf}`,
      )
    ),
  );
  part(
    "sensors",
    snapshot.sensors.map(({ id, value, unit }) =>
      row(id, value === null ? word("unknown") : `${value} ${unit}`)
    ),
  );
  part(
    "expanders",
    snapshot.expanders.map(({ id, online }) => row(id, word(online ? "online" : "offline"))),
  );
  lines.push("", promptLine(prompt, language));
  return lines;
}

function readerText(
  reader: IoSnapshot["readers"][number],
  word: (key: keyof typeof WORDS) => string,
): string {
  const parts: string[] = [];
  if (reader.card !== undefined) {
    const { bits, hex, number } = reader.card;
    parts.push(`${word("card")} ${number} (${bits} ${word("bits")}, ${hex})`);
  }
  if (reader.keys !== undefined) parts.push(`${word("keys")} ${reader.keys}`);
  if (reader.tamper) parts.push(word("tamper"));
  return parts.join(" · ");
}

function promptLine(prompt: IoPrompt, language: Language): string {
  switch (prompt.kind) {
    case "watching": {
      const help = WORDS.help[language];
      return prompt.note === undefined ? help : `${prompt.note[language]} · ${help}`;
    }
    case "choosing":
      return language === "zh"
        ? `输出编号或名称（Esc 取消）：${prompt.typed}`
        : `Output, by number or id (Esc: none): ${prompt.typed}`;
    case "confirming":
      return language === "zh"
        ? `驱动 ${prompt.output} 2 秒？输入 y 并回车：${prompt.typed}`
        : `Drive ${prompt.output} for 2 s? Type y and Enter: ${prompt.typed}`;
    default:
      return prompt satisfies never;
  }
}
