/**
 * Boot-protocol keyboard reports (USB HID 1.11, appendix B.1) to characters (HID Usage Tables 1.12,
 * page 7, chapter 10).
 *
 * @module
 */

/** The keyboard that a reader pretends to be. */
export type KeyboardLayout = "us" | "fr";

/** What a key press means: one character, the end of a card, or nothing that a card has. */
export type KeyPress = string | "enter" | "tab" | "strange";

/** Modifiers, two reserved or key bytes: what a report has at least. */
const REPORT_BYTES_MIN = 3;
/** Modifiers, reserved, six keys. */
const REPORT_BYTES = 8;
const SHIFT = 0x22;
/** Control, Alt and GUI: no reader types with these. */
const COMMANDS = 0xdd;
/** All keys say this when too many are down (ErrorRollOver), or on a fault (POSTFail, ErrorUndefined). */
const ERROR_USAGE_MAX = 3;
const FIRST_LETTER = 0x04;
const FIRST_DIGIT = 0x1e;
const FIRST_PAD_DIGIT = 0x59;
/** Where a French keyboard has another letter than a US one. */
const FRENCH: Readonly<Record<string, string>> = { a: "q", q: "a", w: "z", z: "w", m: "," };
/** Usage: without and with shift. */
const SIGNS: ReadonlyMap<number, readonly [string, string]> = new Map([
  [0x2c, [" ", " "]],
  [0x2d, ["-", "_"]],
  [0x2e, ["=", "+"]],
  [0x33, [";", ":"]],
  [0x36, [",", "<"]],
  [0x37, [".", ">"]],
  [0x38, ["/", "?"]],
  [0x54, ["/", "/"]],
  [0x55, ["*", "*"]],
  [0x56, ["-", "-"]],
  [0x57, ["+", "+"]],
  [0x63, [".", "."]],
]);
/** Shift and a digit on a US keyboard, from 1 to 0. */
const US_SHIFTED_DIGITS = "!@#$%^&*()";

/** Follows which keys are down, and tells each that goes down once: holding one repeats nothing. */
export class BootKeyboard {
  readonly #layout: KeyboardLayout;
  #down: ReadonlySet<number> = new Set();

  /** No key is down. */
  constructor(layout: KeyboardLayout) {
    this.#layout = layout;
  }

  /**
   * Keys that `report` says went down, in its order.
   *
   * @returns `undefined` when it is no boot report: too short, too long.
   */
  push(report: Uint8Array): readonly KeyPress[] | undefined {
    if (report.length < REPORT_BYTES_MIN || report.length > REPORT_BYTES) return undefined;
    const modifiers = report[0]!;
    const down = new Set(report.subarray(2).filter((usage) => usage !== 0));
    // Which keys are down is unknown then (appendix C): what was down counts as still so.
    if ([...down].some((usage) => usage <= ERROR_USAGE_MAX)) return [];
    const pressed = [...down].filter((usage) => !this.#down.has(usage));
    this.#down = down;
    return pressed.map((usage) =>
      (modifiers & COMMANDS) !== 0
        ? "strange"
        : keyOf(usage, (modifiers & SHIFT) !== 0, this.#layout)
    );
  }
}

function keyOf(usage: number, shift: boolean, layout: KeyboardLayout): KeyPress {
  if (usage === 0x28 || usage === 0x58) return "enter";
  if (usage === 0x2b) return "tab";
  const pad = digitOf(usage, FIRST_PAD_DIGIT);
  if (pad !== undefined) return pad;
  const digit = digitOf(usage, FIRST_DIGIT);
  if (digit !== undefined) {
    // A French keyboard has its digits above the shift key, and other signs below.
    if (layout === "fr") return shift ? digit : "strange";
    return shift ? US_SHIFTED_DIGITS[usage - FIRST_DIGIT]! : digit;
  }
  if (usage >= FIRST_LETTER && usage < FIRST_LETTER + 26) {
    const letter = String.fromCharCode(0x61 + usage - FIRST_LETTER);
    const typed = layout === "fr" ? FRENCH[letter] ?? letter : letter;
    return shift ? typed.toUpperCase() : typed;
  }
  if (layout === "fr") {
    return usage === 0x33 ? (shift ? "M" : "m") : usage === 0x36 ? ";" : "strange";
  }
  return SIGNS.get(usage)?.[shift ? 1 : 0] ?? "strange";
}

/** Digits stand as 1 to 9, then 0. */
function digitOf(usage: number, first: number): string | undefined {
  return usage >= first && usage < first + 10 ? String((usage - first + 1) % 10) : undefined;
}
