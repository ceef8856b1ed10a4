import { type CardNumber, cardOf, h10301, swapBytes } from "../../card_number.ts";
import type { HidKeyboardOptions } from "./mod.ts";

/** What was typed, taken as a card, or why it is none. */
export type Entry =
  | { readonly kind: "card"; readonly card: CardNumber }
  | { readonly kind: "refused"; readonly why: "format" | "range" };

/** Takes `typed`, without its terminator, as `options` say. */
export function readEntry(typed: string, options: HidKeyboardOptions): Entry {
  const { prefix, suffix } = options;
  if (
    typed.length < prefix.length + suffix.length || !typed.startsWith(prefix) ||
    !typed.endsWith(suffix)
  ) {
    return { kind: "refused", why: "format" };
  }
  const text = typed.slice(prefix.length, typed.length - suffix.length);
  const value = valueOf(text, options);
  if (value === undefined) return { kind: "refused", why: "format" };
  const bits = options.bits ?? (options.format === "hex" ? text.length * 4 : 32);
  if (value >> BigInt(bits) !== 0n) return { kind: "refused", why: "range" };
  const ordered = options.byteOrder === "little" ? swapBytes(value, bits) : value;
  const card = options.as === "h10301" ? h10301(ordered) : cardOf(ordered, bits);
  return card === undefined ? { kind: "refused", why: "range" } : { kind: "card", card };
}

function valueOf(text: string, { format }: HidKeyboardOptions): bigint | undefined {
  switch (format) {
    case "decimal":
      return /^\d+$/.test(text) ? BigInt(text) : undefined;
    case "hex":
      return /^[0-9a-f]+$/i.test(text) ? BigInt(`0x${text}`) : undefined;
    case "facility": {
      const [, facility, number] = /^(\d{1,5})[^\da-z](\d{1,5})$/i.exec(text) ?? [];
      if (facility === undefined || number === undefined) return undefined;
      // Printed so on cards of 24 bits: 8 of facility, 16 of number.
      if (Number(facility) > 0xff || Number(number) > 0xffff) return undefined;
      return BigInt(facility) << 16n | BigInt(number);
    }
    default:
      return format satisfies never;
  }
}
