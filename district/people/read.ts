/**
 * Cardholders from a CSV file as schools keep them: saved by Excel in UTF-8 or, as Excel in China
 * does, in GB 18030; headers in English or Chinese.
 *
 * @module
 */
import { parse } from "csv-parse/sync";
import type { CardNumber } from "../../sync/wire/mod.ts";
import type { ImportRow } from "../store/contract.ts";
import { CARD_NUMBER_MAX, FACILITY_MAX, h10301, hexOf } from "./wiegand.ts";

/** A file's faults at most; more would not be read. */
const FAULTS_MAX = 200;
/** The largest district that the programme names has 120,000 people, some with two cards. */
export const IMPORT_ROWS_MAX = 400_000;
/** 400,000 rows of 80 bytes. */
export const IMPORT_BYTES_MAX: number = 32 << 20;
const FIELD_BYTES_MAX = 4096;
const COLUMNS_MAX = 64;
const LEVELS_MAX = 32;

/** One fault. Line 1 is the header. */
export interface ImportFault {
  readonly line: number;
  readonly field: string;
  readonly message: string;
}

const HEADERS = {
  number: ["number", "no", "student number", "staff number", "学号", "工号", "编号", "学工号"],
  name: ["name", "姓名"],
  bits: ["bits", "card bits", "位数", "卡位数"],
  hex: ["hex", "card hex", "card", "卡号十六进制", "十六进制卡号"],
  facility: ["facility", "facility code", "区号", "设施码", "区码"],
  cardNumber: ["card number", "卡内码", "卡号"],
  uid: ["uid", "decimal uid", "十进制卡号", "物理卡号"],
  uidBits: ["uid bits", "uid length", "uid位数"],
  accessLevels: ["access levels", "access level", "levels", "权限", "权限组", "门禁权限"],
  validUntil: ["valid until", "expires", "有效期", "有效期至", "截止日期"],
  active: ["active", "enabled", "启用", "状态"],
} as const;
type Field = keyof typeof HEADERS;

const FIELD_OF = new Map<string, Field>(
  Object.entries(HEADERS).flatMap(([field, names]) =>
    [field.toLowerCase(), ...names].map((name) => [name, field as Field])
  ),
);

/** What a file holds, or what is wrong with it. */
export interface ReadCardholders {
  readonly rows: readonly ImportRow[];
  readonly faults: readonly ImportFault[];
}

/** Reads and checks a whole file. `accessLevels` are those that exist. */
export function readCardholders(
  bytes: Uint8Array,
  accessLevels: ReadonlySet<string>,
): ReadCardholders {
  const faults: ImportFault[] = [];
  const fault = (line: number, field: string, message: string) => {
    if (faults.length < FAULTS_MAX) faults.push({ line, field, message });
  };
  if (bytes.length > IMPORT_BYTES_MAX) {
    fault(1, "", `the file has more than ${IMPORT_BYTES_MAX >> 20} MiB; split it`);
    return { rows: [], faults };
  }
  const text = decodeText(bytes);
  if (text === undefined) {
    fault(1, "", "the file is neither UTF-8 nor GB 18030; save it as “CSV UTF-8”");
    return { rows: [], faults };
  }
  let records: { record: string[]; info: { lines: number } }[];
  try {
    records = parse(text, {
      info: true,
      delimiter: separatorOf(text),
      relax_column_count: true,
      // Some programs write ="007" without quoting the field.
      relax_quotes: true,
      skip_empty_lines: true,
      trim: true,
      max_record_size: COLUMNS_MAX * FIELD_BYTES_MAX,
      to: IMPORT_ROWS_MAX + 2,
    }) as unknown as { record: string[]; info: { lines: number } }[];
  } catch (error) {
    const { message, lines } = error as Error & { lines?: number };
    fault(lines ?? 1, "", `not readable as CSV: ${message.slice(0, 200)}`);
    return { rows: [], faults };
  }
  const [header, ...body] = records;
  const columns = readHeader(header?.record ?? [], fault);
  if (body.length > IMPORT_ROWS_MAX) fault(1, "", `more than ${IMPORT_ROWS_MAX} rows; split it`);
  else if (body.length === 0) fault(1, "", "the file has no rows");
  if (faults.length > 0) return { rows: [], faults };
  return { rows: readRows(body, columns, accessLevels, fault), faults };
}

function decodeText(bytes: Uint8Array): string | undefined {
  for (const encoding of ["utf-8", "gb18030"]) {
    try {
      const text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
      return text.includes("\0") ? undefined : text;
    } catch {
      // The next one, or none.
    }
  }
  return undefined;
}

/** Excel writes what the system's region says: comma, semicolon or tab. */
function separatorOf(text: string): string {
  const header = text.slice(0, 4096).split(/\r?\n/, 1)[0]!;
  const count = (separator: string) => header.split(separator).length;
  return [",", "\t", ";"].reduce((best, each) => count(each) > count(best) ? each : best);
}

type Fault = (line: number, field: string, message: string) => void;

function readHeader(header: readonly string[], fault: Fault): ReadonlyMap<Field, number> {
  const columns = new Map<Field, number>();
  if (header.length > COLUMNS_MAX) fault(1, "", `more than ${COLUMNS_MAX} columns`);
  header.slice(0, COLUMNS_MAX).forEach((title, index) => {
    const name = title.toLowerCase().replaceAll(/[\s_]+/g, " ").trim();
    const field = FIELD_OF.get(name) ?? FIELD_OF.get(name.replaceAll(" ", ""));
    // Other columns are the school's own business.
    if (field === undefined) return;
    if (columns.has(field)) fault(1, title, "this column stands there twice");
    columns.set(field, index);
  });
  for (const field of ["number", "name"] as const) {
    if (!columns.has(field)) {
      fault(1, field, `a column ${HEADERS[field].join(" / ")} is needed`);
    }
  }
  const has = (field: Field) => columns.has(field);
  if (has("bits") !== has("hex")) fault(1, "hex", "the columns bits and hex go together");
  if (has("facility") !== has("cardNumber")) {
    fault(1, "facility", "the columns facility and card number go together");
  }
  return columns;
}

function readRows(
  records: readonly { record: string[]; info: { lines: number } }[],
  columns: ReadonlyMap<Field, number>,
  accessLevels: ReadonlySet<string>,
  fault: Fault,
): ImportRow[] {
  const people = new Map<
    string,
    { row: ImportRow; cards: NonNullable<ImportRow["cards"]>[number][] }
  >();
  const cardLines = new Map<string, number>();
  const hasCards = columns.has("hex") || columns.has("facility") || columns.has("uid");
  for (const { record, info } of records) {
    const line = info.lines;
    const value = (field: Field) => {
      const index = columns.get(field);
      return index === undefined ? undefined : guarded(record[index] ?? "");
    };
    const problem = (field: Field, message: string) => fault(line, field, message);
    const number = value("number")!;
    const name = value("name")!;
    checkText(number, 64, (message) => problem("number", message));
    checkText(name, 128, (message) => problem("name", message));
    const cards: { line: number; bits: number; hex: string }[] = [];
    for (const card of readCards(value, problem)) {
      const key = `${card.bits} ${card.hex}`;
      const other = cardLines.get(key);
      if (other !== undefined) problem("hex", `the same card stands in line ${other}`);
      cardLines.set(key, line);
      cards.push({ line, ...card });
    }
    const row: ImportRow = {
      line,
      number,
      name,
      accessLevels: readLevels(value("accessLevels"), accessLevels, problem),
      validUntilMs: readDate(value("validUntil"), problem),
      active: readActive(value("active"), problem),
      cards: hasCards ? cards : undefined,
    };
    const before = people.get(number);
    if (before === undefined) {
      people.set(number, { row, cards });
    } else if (!samePerson(before.row, row)) {
      problem("number", `line ${before.row.line} has the same number, but says something else`);
    } else before.cards.push(...cards);
  }
  return [...people.values()].map(({ row }) => row);
}

/** Excel's `="00123"` keeps leading zeros; a leading apostrophe does as well. */
function guarded(text: string): string {
  const match = /^="(.*)"$/s.exec(text);
  return (match?.[1] ?? text).replace(/^'/, "").trim();
}

function checkText(text: string, lengthMax: number, problem: (message: string) => void): void {
  if (text === "") problem("is empty");
  else if (text.length > lengthMax) problem(`has more than ${lengthMax} characters`);
  // deno-lint-ignore no-control-regex
  else if (/[\u0000-\u001f\u007f\ufffd]/.test(text)) {
    problem("holds characters that cannot be shown");
  }
}

type Value = (field: Field) => string | undefined;
type Problem = (field: Field, message: string) => void;

function readCards(value: Value, problem: Problem): CardNumber[] {
  const cards: CardNumber[] = [];
  const [bits, hex] = [value("bits") ?? "", value("hex") ?? ""];
  if (bits !== "" || hex !== "") {
    const card = readHex(bits, hex, problem);
    if (card !== undefined) cards.push(card);
  }
  const [facility, number] = [value("facility") ?? "", value("cardNumber") ?? ""];
  if (facility !== "" || number !== "") {
    const inRange = (text: string, max: number) => /^\d{1,5}$/.test(text) && Number(text) <= max;
    if (!inRange(facility, FACILITY_MAX)) problem("facility", `expected 0 to ${FACILITY_MAX}`);
    else if (!inRange(number, CARD_NUMBER_MAX)) {
      problem("cardNumber", `expected 0 to ${CARD_NUMBER_MAX}`);
    } else cards.push(h10301(Number(facility), Number(number)));
  }
  const uid = value("uid") ?? "";
  if (uid !== "") {
    const uidBits = value("uidBits") || "32";
    if (!/^\d{1,3}$/.test(uidBits) || ![32, 56, 80].includes(Number(uidBits))) {
      problem("uidBits", "expected 32, 56 or 80 (4, 7 or 10 bytes)");
    } else if (!/^\d{1,25}$/.test(uid) || BigInt(uid) >= 1n << BigInt(uidBits)) {
      problem("uid", `expected a decimal number of at most ${uidBits} bits`);
    } else cards.push({ bits: Number(uidBits), hex: hexOf(BigInt(uid), Number(uidBits)) });
  }
  return cards;
}

function readHex(bits: string, hex: string, problem: Problem): CardNumber | undefined {
  const digits = hex.toLowerCase().replaceAll(/[\s:-]|^0x/g, "");
  const length = Number(bits);
  if (!/^\d{1,3}$/.test(bits) || length < 1 || length > 255) {
    problem("bits", "expected 1 to 255");
  } else if (!/^[0-9a-f]{1,64}$/.test(digits)) {
    problem("hex", "expected hexadecimal digits");
  } else if (BigInt(`0x${digits}`) >= 1n << BigInt(length)) {
    problem("hex", `is more than ${length} bits`);
  } else return { bits: length, hex: hexOf(BigInt(`0x${digits}`), length) };
  return undefined;
}

function readLevels(
  text: string | undefined,
  known: ReadonlySet<string>,
  problem: Problem,
): readonly string[] | undefined {
  if (text === undefined) return undefined;
  const levels = [...new Set(text.split(/[;；]/).map((level) => level.trim()).filter(Boolean))];
  if (levels.length > LEVELS_MAX) problem("accessLevels", `more than ${LEVELS_MAX}`);
  const unknown = levels.find((level) => !known.has(level));
  if (unknown !== undefined) {
    problem("accessLevels", `there is no access level ${JSON.stringify(unknown.slice(0, 64))}`);
  }
  return levels;
}

/** The end of the named day in China; a time zone may be given with a full date and time. */
function readDate(text: string | undefined, problem: Problem): number | null | undefined {
  if (text === undefined) return undefined;
  if (text === "") return null;
  const day = /^(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?$/.exec(text);
  try {
    if (day === null) return Temporal.Instant.from(text).epochMilliseconds;
    const [year, month, date] = day.slice(1).map(Number) as [number, number, number];
    return Temporal.PlainDate.from({ year, month, day: date }, { overflow: "reject" })
      .add({ days: 1 }).toZonedDateTime("Asia/Shanghai").epochMilliseconds;
  } catch {
    problem("validUntil", "expected a date such as 2027-07-31");
    return undefined;
  }
}

const YES = new Set(["1", "true", "yes", "y", "active", "是", "启用", "正常", "有效"]);
const NO = new Set(["0", "false", "no", "n", "inactive", "否", "停用", "禁用", "注销"]);

function readActive(text: string | undefined, problem: Problem): boolean | undefined {
  if (text === undefined || text === "") return undefined;
  const word = text.toLowerCase();
  if (!YES.has(word) && !NO.has(word)) problem("active", "expected yes or no (是 / 否)");
  return YES.has(word);
}

function samePerson(a: ImportRow, b: ImportRow): boolean {
  return a.name === b.name && a.active === b.active && a.validUntilMs === b.validUntilMs &&
    a.accessLevels?.join(";") === b.accessLevels?.join(";");
}
