/**
 * What can be seen of hardware that nobody has described yet, and where it is.
 *
 * @module
 */
import type { OutputLine, ReaderIdentity } from "../../../drivers/contract.ts";
import type { FoundDevice } from "../../../hal/mod.ts";
import { printedNumber } from "../card_text.ts";
import { type Text, text } from "../language.ts";

/** Options as `box.yaml` writes them. */
export type PlainOptions = Readonly<Record<string, string | number | boolean>>;

/** Where a reader is: on a serial line, or by a driver of its own. */
export type ReaderPlace =
  | {
    readonly on: "bus";
    /** What names the adapter after a restart. */
    readonly path: string;
    readonly baudRate: number;
    readonly parity?: "none" | "even" | "odd";
    readonly driver: string;
    readonly options: PlainOptions;
  }
  | { readonly on: "own"; readonly driver: string; readonly options: PlainOptions };

/** Where an input is. */
export type InputPlace =
  | { readonly on: "reader"; readonly reader: ReaderPlace; readonly index: number }
  | {
    readonly on: "gpio";
    readonly chip: string;
    readonly line: number;
    /** So that it is active as it was when it moved away from rest. */
    readonly activeLow: boolean;
  };

/** Where an output is. */
export type OutputPlace =
  | { readonly on: "reader"; readonly reader: ReaderPlace; readonly index: number }
  | {
    readonly on: "gpio";
    readonly chip: string;
    readonly line: number;
    readonly activeLow: boolean;
  };

/** Something that was seen. */
export type Sighting =
  | {
    /** A reader answered, before any card. */
    readonly kind: "reader";
    readonly place: ReaderPlace;
    readonly identity: ReaderIdentity | undefined;
    /** Opens one of its relays to be tried; the line stays its owner's. */
    readonly output: (index: number) => OutputLine;
    /** It talks only under a key that is not known here. */
    readonly keyNeeded: boolean;
  }
  | {
    readonly kind: "card";
    /** More than one where several drivers understand what came. */
    readonly places: readonly ReaderPlace[];
    readonly bits: number;
    readonly data: Uint8Array;
  }
  | { readonly kind: "input"; readonly place: InputPlace; readonly active: boolean }
  /** Something an installer should know: a port that came or went, a line that is held. */
  | { readonly kind: "note"; readonly note: Text };

/** The path by which `box.yaml` names a port: what survives a restart, where udev made a link of it. */
export function portPath(device: FoundDevice): string {
  return device.stable.startsWith("/") ? device.stable : device.path;
}

/** Two places with the same key are one. */
export function readerKey(place: ReaderPlace): string {
  const options = Object.entries(place.options).sort(([a], [b]) => a < b ? -1 : 1);
  return JSON.stringify([place.on === "bus" ? place.path : "", place.driver, options]);
}

/** The same for inputs and outputs: a reader has an input 0 and a relay 0, a GPIO line is one thing. */
export function pointKey(place: InputPlace | OutputPlace, what: "input" | "output"): string {
  return place.on === "reader"
    ? `${readerKey(place.reader)} ${what} ${place.index}`
    : `${place.chip} ${place.line}`;
}

/** Where a reader is, for a person. */
export function readerWhere(place: ReaderPlace): Text {
  const { address, chip, data0, data1, vendorId, productId } = place.options;
  if (place.on === "bus") {
    return address === undefined
      ? text(
        `${place.path}（${place.driver}，${place.baudRate} 波特）`,
        `${place.path} (${place.driver}, ${place.baudRate} baud)`,
      )
      : text(
        `${place.path} 地址 ${address}（${place.baudRate} 波特）`,
        `${place.path} address ${address} (${place.baudRate} baud)`,
      );
  }
  if (data0 !== undefined) {
    return text(
      `${chip} 线 ${data0}（D0）、${data1}（D1），Wiegand`,
      `${chip} lines ${data0} (D0) and ${data1} (D1), Wiegand`,
    );
  }
  const hex = (value: unknown) => Number(value).toString(16).padStart(4, "0");
  return text(
    `USB ${hex(vendorId)}:${hex(productId)}（${place.driver}）`,
    `USB ${hex(vendorId)}:${hex(productId)} (${place.driver})`,
  );
}

/** Where an input or output is, for a person. */
export function pointWhere(place: InputPlace | OutputPlace, what: "input" | "relay"): Text {
  if (place.on === "gpio") {
    return text(`${place.chip} 的线 ${place.line}`, `line ${place.line} of ${place.chip}`);
  }
  const where = readerWhere(place.reader);
  return what === "input"
    ? text(
      `${where.zh} 的读卡器输入 ${place.index}`,
      `input ${place.index} of the reader at ${where.en}`,
    )
    : text(
      `${where.zh} 的读卡器继电器 ${place.index}`,
      `relay ${place.index} of the reader at ${where.en}`,
    );
}

/** `a 34-bit card 12345678`. */
export function cardText(bits: number, data: Uint8Array): Text {
  const number = printedNumber(bits, data);
  const article = [8, 11, 18].includes(bits) || (bits >= 80 && bits < 90) ? "an" : "a";
  return text(`${bits} 位卡 ${number}`, `${article} ${bits}-bit card ${number}`);
}
