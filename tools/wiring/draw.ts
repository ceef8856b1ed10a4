/**
 * Draws wiring diagrams as SVG: boxes with terminals, wires at right angles, and the few parts that an
 * installer solders or screws in. Units are pixels, the origin is top left.
 *
 * @module
 */

/** Languages of the guide. */
export type Language = "zh" | "en";
/** A text in each. */
export type Text = Readonly<Record<Language, string>>;

/** What a wire carries; its colour is the same in every diagram. */
export type WireKind =
  | "plus"
  | "zero"
  | "five"
  | "three"
  | "a"
  | "b"
  | "green"
  | "white"
  | "signal"
  | "earth";

const WIRES: Readonly<Record<WireKind, string>> = {
  plus: "#c62828",
  five: "#e65100",
  three: "#ad1457",
  zero: "#263238",
  a: "#1565c0",
  b: "#ef8f00",
  green: "#2e7d32",
  white: "#90a4ae",
  signal: "#6a1b9a",
  earth: "#558b2f",
};

const FONT =
  "'Noto Sans CJK SC','Noto Sans SC','PingFang SC','Microsoft YaHei','Noto Sans',sans-serif";
const INK = "#1f2933";
const SOFT = "#52606d";

type Point = readonly [x: number, y: number];

/** One picture. */
export class Picture {
  readonly #language: Language;
  readonly #width: number;
  readonly #height: number;
  readonly #title: string;
  readonly #below: string[] = [];
  readonly #above: string[] = [];

  /** An empty one with its title at the top. */
  constructor(language: Language, width: number, height: number, title: Text) {
    this.#language = language;
    this.#width = width;
    this.#height = height;
    this.#title = title[language];
  }

  /** A device: a rounded box with its name in a bar at the top. */
  device(
    x: number,
    y: number,
    width: number,
    height: number,
    name: Text,
    colour = "#e3eaf2",
  ): void {
    this.#below.push(
      `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="10" fill="#ffffff" stroke="#7b8794" stroke-width="1.5"/>`,
      `<path d="M${x} ${y + 30}V${y + 10}a10 10 0 0 1 10 -10h${
        width - 20
      }a10 10 0 0 1 10 10v20z" fill="${colour}" stroke="#7b8794" stroke-width="1.5"/>`,
    );
    this.text(x + width / 2, y + 20, name, { anchor: "middle", bold: true, size: 14 });
  }

  /** A terminal with its label inside the device, on the side that `side` says. */
  terminal(
    x: number,
    y: number,
    label: Text | string,
    side: "left" | "right" | "top" | "bottom",
  ): void {
    this.#above.push(
      `<circle cx="${x}" cy="${y}" r="5" fill="#fff" stroke="${INK}" stroke-width="1.8"/>`,
    );
    const gap = 11;
    if (side === "left") this.text(x + gap, y + 4.5, label, { size: 13 });
    else if (side === "right") this.text(x - gap, y + 4.5, label, { size: 13, anchor: "end" });
    else if (side === "top") this.text(x, y + gap + 9, label, { size: 13, anchor: "middle" });
    else this.text(x, y - gap, label, { size: 13, anchor: "middle" });
  }

  /** A wire through `points`. */
  wire(kind: WireKind, ...points: readonly Point[]): void {
    const path = points.map(([x, y], index) => `${index === 0 ? "M" : "L"}${x} ${y}`).join("");
    // A light edge parts wires that cross.
    this.#below.push(
      `<path d="${path}" fill="none" stroke="#fff" stroke-width="6" stroke-linejoin="round"/>`,
      `<path d="${path}" fill="none" stroke="${
        WIRES[kind]
      }" stroke-width="2.6" stroke-linejoin="round" stroke-linecap="round"/>`,
    );
  }

  /** A joint of wires. */
  joint(x: number, y: number, kind: WireKind): void {
    this.#above.push(`<circle cx="${x}" cy="${y}" r="4" fill="${WIRES[kind]}"/>`);
  }

  /** A resistor, `length` long with its leads, from (x, y) to the right or down. */
  resistor(
    x: number,
    y: number,
    length: number,
    label: string,
    way: "right" | "down" = "right",
    labelAt: "before" | "after" = "before",
  ): void {
    const body = 34;
    const lead = (length - body) / 2;
    if (way === "right") {
      this.#above.push(
        `<path d="M${x} ${y}h${length}" stroke="${INK}" stroke-width="2"/>`,
        `<rect x="${x + lead}" y="${
          y - 7
        }" width="${body}" height="14" rx="2" fill="#fff8e1" stroke="${INK}" stroke-width="1.6"/>`,
      );
      this.text(x + length / 2, labelAt === "before" ? y - 12 : y + 22, label, {
        size: 12,
        anchor: "middle",
      });
    } else {
      this.#above.push(
        `<path d="M${x} ${y}v${length}" stroke="${INK}" stroke-width="2"/>`,
        `<rect x="${x - 7}" y="${
          y + lead
        }" width="14" height="${body}" rx="2" fill="#fff8e1" stroke="${INK}" stroke-width="1.6"/>`,
      );
      this.text(labelAt === "before" ? x - 13 : x + 13, y + length / 2 + 4, label, {
        size: 12,
        anchor: labelAt === "before" ? "end" : "start",
      });
    }
  }

  /** A diode between (x, y1) and (x, y2), its cathode (the band) at y1. */
  diode(x: number, y1: number, y2: number, label: string): void {
    const middle = (y1 + y2) / 2;
    this.#above.push(
      `<path d="M${x} ${y1}V${y2}" stroke="${INK}" stroke-width="2"/>`,
      `<path d="M${x - 9} ${middle + 8}h18l-9 -16z" fill="${INK}"/>`,
      `<path d="M${x - 10} ${middle - 9}h20" stroke="${INK}" stroke-width="3"/>`,
    );
    this.text(x + 16, middle + 4, label, { size: 12 });
  }

  /** A switch contact from (x, y) to (x + 50, y), open or closed. */
  contact(x: number, y: number, closed: boolean): void {
    this.#above.push(
      `<circle cx="${x}" cy="${y}" r="3.5" fill="#fff" stroke="${INK}" stroke-width="1.8"/>`,
      `<circle cx="${x + 50}" cy="${y}" r="3.5" fill="#fff" stroke="${INK}" stroke-width="1.8"/>`,
      closed
        ? `<path d="M${x + 3} ${y - 2}L${x + 52} ${y - 5}" stroke="${INK}" stroke-width="2.4"/>`
        : `<path d="M${x + 3} ${y - 2}L${x + 46} ${y - 20}" stroke="${INK}" stroke-width="2.4"/>`,
    );
  }

  /** A coil: what a lock is to its wires. */
  coil(x: number, y1: number, y2: number): void {
    const turns = Math.floor((y2 - y1 - 16) / 14);
    const start = y1 + (y2 - y1 - turns * 14) / 2;
    const arcs = Array.from({ length: turns }, () => "a7 7 0 0 1 0 14").join("");
    this.#above.push(
      `<path d="M${x} ${y1}V${start}${arcs}V${y2}" fill="none" stroke="${INK}" stroke-width="2.2"/>`,
    );
  }

  /** The symbol of protective earth, its wire from above at (x, y). */
  earth(x: number, y: number): void {
    this.#above.push(
      `<path d="M${x} ${y}v10M${x - 14} ${y + 10}h28M${x - 9} ${y + 15}h18M${x - 4} ${
        y + 20
      }h8" stroke="${WIRES.earth}" stroke-width="2.4" fill="none"/>`,
    );
  }

  /** A cable's shield around wires from x1 to x2. */
  shield(x1: number, y1: number, x2: number, y2: number): void {
    this.#below.push(
      `<rect x="${x1}" y="${y1}" width="${x2 - x1}" height="${
        y2 - y1
      }" rx="14" fill="none" stroke="#9aa5b1" stroke-width="1.6" stroke-dasharray="6 4"/>`,
    );
  }

  /** A filled circle with a number or nothing: a pin of a header. */
  pin(x: number, y: number, fill: string, label: string): void {
    this.#above.push(
      `<circle cx="${x}" cy="${y}" r="11" fill="${fill}" stroke="#7b8794" stroke-width="1.2"/>`,
    );
    this.text(x, y + 4, label, { size: 11, anchor: "middle", bold: true });
  }

  /** A coloured tag with text in it; returns nothing. `anchor` says which side `x` is. */
  tag(
    x: number,
    y: number,
    label: Text,
    fill: string,
    anchor: "start" | "end",
    width: number,
  ): void {
    const left = anchor === "start" ? x : x - width;
    this.#above.push(
      `<rect x="${left}" y="${y - 10}" width="${width}" height="20" rx="10" fill="${fill}"/>`,
    );
    this.text(left + width / 2, y + 4.5, label, { size: 12, anchor: "middle" });
  }

  /** Text. */
  text(
    x: number,
    y: number,
    text: Text | string,
    options: {
      readonly size?: number;
      readonly anchor?: "start" | "middle" | "end";
      readonly bold?: boolean;
      readonly soft?: boolean;
    } = {},
  ): void {
    const { size = 13, anchor = "start", bold = false, soft = false } = options;
    const value = typeof text === "string" ? text : text[this.#language];
    this.#above.push(
      `<text x="${x}" y="${y}" font-size="${size}" text-anchor="${anchor}"${
        bold ? ' font-weight="700"' : ""
      } fill="${soft ? SOFT : INK}">${escape(value)}</text>`,
    );
  }

  /** A note in a box of its own, one line a text. */
  note(
    x: number,
    y: number,
    width: number,
    lines: readonly Text[],
    kind: "mind" | "hint" = "hint",
  ): void {
    const height = lines.length * 20 + 16;
    const [fill, edge] = kind === "mind" ? ["#fff4e5", "#ef8f00"] : ["#f0f4f8", "#bcccdc"];
    this.#below.push(
      `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="8" fill="${fill}" stroke="${edge}" stroke-width="1.2"/>`,
    );
    lines.forEach((line, index) => this.text(x + 12, y + 22 + index * 20, line, { size: 12.5 }));
  }

  /** The whole as an SVG document. */
  toString(): string {
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${this.#width} ${this.#height}" width="${this.#width}" height="${this.#height}" font-family="${FONT}" role="img" aria-label="${
        escape(this.#title)
      }">`,
      "<!-- Made by tools/wiring/main.ts; change the diagram there. -->",
      `<rect width="${this.#width}" height="${this.#height}" fill="#ffffff"/>`,
      `<text x="24" y="36" font-size="20" font-weight="700" fill="${INK}">${
        escape(this.#title)
      }</text>`,
      ...this.#below,
      ...this.#above,
      "</svg>",
      "",
    ].join("\n");
  }
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
