import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { IMPORT_BYTES_MAX, readCardholders } from "./read.ts";
import { h10301 } from "./wiegand.ts";

const LEVELS = new Set(["all-doors", "student"]);
const read = (text: string | Uint8Array) =>
  readCardholders(typeof text === "string" ? new TextEncoder().encode(text) : text, LEVELS);
const faults = (text: string | Uint8Array) =>
  read(text).faults.map(({ line, field }) => `${line} ${field}`);

Deno.test("H10301 has the parities of the format", () => {
  // Facility 1, card 1: 1 00000001 0000000000000001 0 with even parity first, odd last.
  assert.deepEqual(h10301(1, 1), { bits: 26, hex: "02020002" });
  for (const [facility, number] of [[0, 0], [255, 65_535], [12, 1234], [170, 43_690]] as const) {
    const { hex } = h10301(facility, number);
    const bits = BigInt(`0x${hex}`).toString(2).padStart(26, "0");
    const ones = (text: string) => text.replaceAll("0", "").length;
    assert.equal(bits.length, 26);
    assert.equal(ones(bits.slice(0, 13)) % 2, 0);
    assert.equal(ones(bits.slice(13)) % 2, 1);
    assert.deepEqual(
      [Number.parseInt(bits.slice(1, 9), 2), Number.parseInt(bits.slice(9, 25), 2)],
      [facility, number],
    );
  }
  assert.throws(() => h10301(256, 0), RangeError);
  assert.throws(() => h10301(0, -1), RangeError);
});

Deno.test("files as Excel saves them are read: UTF-8 with its mark, GB 18030, comma, tab, semicolon", () => {
  const utf8 = read("\ufeff学号,姓名,权限\r\n001,张三,student;all-doors\r\n");
  assert.deepEqual(
    utf8.rows.map(({ number, name, accessLevels, cards }) => [number, name, accessLevels, cards]),
    [
      ["001", "张三", ["student", "all-doors"], undefined],
    ],
  );
  // 学号,姓名 / 1,张三 in GB 18030
  const gb = Buffer.from("d1a7bac52cd0d5c3fb0a312cd5c5c8fd0a", "hex");
  assert.deepEqual(read(new Uint8Array(gb)).rows.map(({ name }) => name), ["张三"]);
  assert.deepEqual(read("工号\t姓名\n7\t李四\n").rows.map(({ number }) => number), ["7"]);
  assert.deepEqual(read('number;name\n7;"Li; Si"\n').rows.map(({ name }) => name), ["Li; Si"]);
});

Deno.test("cards come as hex, as 26-bit numbers or as decimal UIDs; one person may have several", () => {
  const { rows, faults } = read(
    "number,name,bits,hex,facility,card number,uid,uid bits\n" +
      "1,Li,34,3 AB:CD-01-02,,,,\n" +
      "1,Li,,,12,1234,,\n" +
      "2,Wu,,,,,4294967295,\n" +
      "3,Xu,,,,,36028797018963968,56\n" +
      "4,Yu,,,,,,\n",
  );
  assert.deepEqual(faults, []);
  assert.deepEqual(
    rows.map((
      { number, cards },
    ) => [number, cards!.map(({ line, bits, hex }) => [line, bits, hex])]),
    [
      ["1", [[2, 34, "03abcd0102"], [3, 26, h10301(12, 1234).hex]]],
      ["2", [[4, 32, "ffffffff"]]],
      ["3", [[5, 56, "80000000000000"]]],
      ["4", []],
    ],
  );
});

Deno.test("dates end with their day in China, and say when they are none", () => {
  const { rows } = read(
    "number,name,有效期\n1,a,2027-07-31\n2,b,2027年7月31日\n3,c,\n4,d,2027-07-31T00:00:00Z\n",
  );
  const day = Date.parse("2027-07-31T16:00:00Z");
  assert.deepEqual(rows.map((row) => row.validUntilMs), [
    day,
    day,
    null,
    Date.parse("2027-07-31T00:00:00Z"),
  ]);
  assert.deepEqual(faults("number,name,有效期\n1,a,2027-02-30\n2,b,soon\n"), [
    "2 validUntil",
    "3 validUntil",
  ]);
});

Deno.test("every fault is named by line and field", () => {
  assert.deepEqual(
    faults(
      "number,name,bits,hex,facility,card number,uid,access levels,active\n" +
        ",Li,,,,,,,\n" +
        "2,,,,,,,,\n" +
        "3,c,26,4000000,,,,,\n" +
        "4,d,,ff,,,,,\n" +
        "5,e,,,256,1,,,\n" +
        "6,f,,,1,,,,\n" +
        "7,g,,,,,4294967296,,\n" +
        "8,h,,,,,,janitor,\n" +
        "9,i,,,,,,,maybe\n" +
        "10,j,32,00000001,,,,,\n" +
        "11,k,32,1,,,,,\n" +
        "12,l\u0007,,,,,,,\n" +
        "13,m,,,,,,,\n" +
        "13,n,,,,,,,\n",
    ),
    [
      "2 number",
      "3 name",
      "4 hex",
      "5 bits",
      "6 facility",
      "7 cardNumber",
      "8 uid",
      "9 accessLevels",
      "10 active",
      "12 hex",
      "13 name",
      "15 number",
    ],
  );
});

Deno.test("hostile files are refused whole, and quickly", () => {
  assert.deepEqual(faults(""), ["1 number", "1 name", "1 "]);
  assert.deepEqual(faults("number,name\n"), ["1 "]);
  assert.deepEqual(faults("a,b\n1,2\n"), ["1 number", "1 name"]);
  assert.deepEqual(faults("number,name,name\n1,2,3\n"), ["1 name"]);
  assert.deepEqual(faults(new Uint8Array([0x50, 0x4b, 3, 4, 0, 0, 0, 0])), ["1 "]);
  assert.deepEqual(faults(new Uint8Array(IMPORT_BYTES_MAX + 1)), ["1 "]);
  assert.deepEqual(faults('number,name\n1,"never closed\n2,b\n'), ["3 "]);
  assert.equal(read(`number,name\n1,"${"x".repeat(2_000_000)}"\n`).rows.length, 0);
  assert.equal(read(`number,name${",x".repeat(100_000)}\n1,2\n`).rows.length, 0);
  const many = read("number,name\n" + ",\n".repeat(100_000));
  assert.equal(many.faults.length, 200);
  // What a spreadsheet would run as a formula is only text to us, and stays as it is.
  const formula = read('number,name\n"=""007""","=HYPERLINK(1)"\n');
  assert.deepEqual(formula.faults, []);
  assert.deepEqual(formula.rows.map(({ number, name }) => [number, name]), [
    ["007", "=HYPERLINK(1)"],
  ]);
});
