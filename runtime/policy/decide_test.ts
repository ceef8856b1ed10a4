import assert from "node:assert/strict";
import { parsePolicy } from "../../sync/wire/policy.ts";
import { cardKeyFromNumber, cardKeyFromRead, cardNumberOf } from "./card_key.ts";
import { buffersOf, compilePolicy, packCompiled, PolicyError, unpackCompiled } from "./compile.ts";
import { bindPolicy, decide } from "./decide.ts";
import { LocalTime } from "./local_time.ts";

const zone = "Asia/Shanghai";
const shanghai = new LocalTime(zone);
const ms = (text: string) => Temporal.ZonedDateTime.from(`${text}[${zone}]`).epochMilliseconds;

const raw = {
  schema: 1,
  holidays: [{ id: "national-day", name: "国庆", from: "2026-10-01", to: "2026-10-07" }],
  schedules: [{
    id: "school-hours",
    name: "上课时间",
    weekly: [{
      days: ["mon", "tue", "wed", "thu", "fri"],
      intervals: [{ from: "06:30", to: "12:00" }, { from: "13:00", to: "18:30" }],
    }],
    onHolidays: [{ from: "09:00", to: "10:00" }],
  }],
  accessLevels: [
    {
      id: "student",
      name: "学生",
      grants: [{ doors: ["east-gate/main"], schedule: "school-hours" }],
    },
    { id: "staff", name: "教职工", grants: [{ doors: ["*"], schedule: "always" }] },
    { id: "elsewhere", name: "另一校", grants: [{ doors: ["west-gate/*"], schedule: "always" }] },
  ],
  cardholders: [
    { id: 1, name: "张三", accessLevels: ["student"] },
    { id: 2, name: "李四", accessLevels: ["staff", "student"] },
    { id: 3, name: "王五", accessLevels: ["staff"], active: false },
    { id: 4, name: "赵六", accessLevels: ["elsewhere"] },
    { id: 5, name: "临时", accessLevels: ["staff"], validFromMs: 1000, validUntilMs: 2000 },
    { id: 6, name: "无级", accessLevels: [] },
  ],
  credentials: [
    { id: 11, cardholder: 1, bits: 26, hex: "01020304" },
    { id: 12, cardholder: 2, bits: 34, hex: "0001020304" },
    { id: 13, cardholder: 3, bits: 32, hex: "00000003" },
    { id: 14, cardholder: 4, bits: 32, hex: "00000004" },
    { id: 15, cardholder: 5, bits: 32, hex: "00000005" },
    { id: 16, cardholder: 2, bits: 32, hex: "00000006", active: false },
    { id: 17, cardholder: 6, bits: 56, hex: "04a1b2c3d4e5f6" },
  ],
};
const compiled = compilePolicy(parsePolicy(raw), 7);
const bound = bindPolicy(compiled, "east-gate", ["main", "side"]);
const tuesday8 = ms("2026-11-24T08:00");

function outcome(bits: number, hex: string, wallMs = tuesday8, index = 0, locked = false): string {
  const decision = decide(
    bound,
    { index, mode: locked ? "locked" : "normal" },
    cardKeyFromNumber({ bits, hex }),
    { wallMs, local: shanghai.at(wallMs) },
  );
  return decision.granted ? `${decision.credential}/${decision.cardholder}` : decision.reason;
}

Deno.test("each reason of a denial, and the grants beside it", () => {
  assert.equal(outcome(26, "01020304"), "11/1");
  assert.equal(outcome(26, "01020305"), "unknown-card");
  assert.equal(outcome(27, "01020304"), "unknown-card", "another length is another card");
  assert.equal(outcome(32, "00000006"), "credential-inactive");
  assert.equal(outcome(32, "00000003"), "cardholder-inactive");
  assert.equal(outcome(32, "00000004"), "no-access-here");
  assert.equal(outcome(56, "04a1b2c3d4e5f6"), "no-access-here");
  assert.equal(outcome(26, "01020304", tuesday8, 1), "no-access-here", "a door not granted");
  assert.equal(outcome(34, "0001020304", tuesday8, 1), "12/2", "staff may pass any door");
  assert.equal(outcome(32, "00000005", 999), "not-yet-valid");
  assert.equal(outcome(32, "00000005", 1000), "15/5");
  assert.equal(outcome(32, "00000005", 2000), "expired");
  assert.equal(outcome(26, "01020304", tuesday8, 0, true), "door-locked");
  assert.equal(
    decide(undefined, { index: 0, mode: "normal" }, new Uint8Array([26]), {
      wallMs: 0,
      local: shanghai.at(0),
    }).granted,
    false,
  );
});

Deno.test("schedules hold to the minute, over weekends and holidays", () => {
  const student = (at: string) => outcome(26, "01020304", ms(at));
  assert.equal(student("2026-11-24T06:29:59"), "outside-schedule");
  assert.equal(student("2026-11-24T06:30"), "11/1");
  assert.equal(student("2026-11-24T11:59:59"), "11/1");
  assert.equal(student("2026-11-24T12:00"), "outside-schedule");
  assert.equal(student("2026-11-24T13:00"), "11/1");
  assert.equal(student("2026-11-24T18:30"), "outside-schedule");
  assert.equal(student("2026-11-22T08:00"), "outside-schedule", "a Sunday");
  assert.equal(student("2026-10-01T08:00"), "outside-schedule", "a holiday");
  assert.equal(student("2026-10-07T09:30"), "11/1", "holiday hours");
  assert.equal(student("2026-10-08T08:00"), "11/1", "the day after");
});

Deno.test("schedules follow the zone through daylight saving, also backwards", () => {
  const berlin = new LocalTime("Europe/Berlin");
  const at = (text: string) => berlin.at(Date.parse(text));
  assert.deepEqual(at("2026-03-29T00:59:00Z"), { epochDay: 20541, weekday: 6, minute: 119 });
  assert.deepEqual(at("2026-03-29T01:00:00Z"), { epochDay: 20541, weekday: 6, minute: 180 });
  assert.deepEqual(at("2026-10-25T01:00:00Z"), { epochDay: 20751, weekday: 6, minute: 120 });
  assert.deepEqual(at("2026-03-29T00:59:00Z").minute, 119, "the clock may step back");
});

Deno.test("local minutes equal Temporal's at random instants", () => {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
  console.log(`seed ${seed}`);
  let state = seed;
  const next = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  for (const name of ["Asia/Shanghai", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]) {
    const local = new LocalTime(name);
    for (let round = 0; round < 500; round++) {
      const wallMs = Math.floor(next() * 4e12) - 5e11;
      const want = Temporal.Instant.fromEpochMilliseconds(wallMs).toZonedDateTimeISO(name);
      const got = local.at(wallMs);
      assert.equal(got.minute, want.hour * 60 + want.minute, `${name} ${wallMs}`);
      assert.equal(got.weekday, want.dayOfWeek - 1);
    }
  }
});

Deno.test("a card as read and as written in policy have one key", () => {
  // 26 bits left-aligned in 4 bytes: value 0x01020304 << 6.
  const read = cardKeyFromRead(26, new Uint8Array([0x40, 0x80, 0xc1, 0x00]));
  assert.deepEqual(read, cardKeyFromNumber({ bits: 26, hex: "01020304" }));
  assert.deepEqual(cardNumberOf(read), { bits: 26, hex: "01020304" });
  assert.deepEqual(
    cardKeyFromRead(32, new Uint8Array([1, 2, 3, 4])),
    new Uint8Array([32, 1, 2, 3, 4]),
  );
  assert.deepEqual(cardKeyFromRead(1, new Uint8Array([0x80])), new Uint8Array([1, 1]));
  assert.throws(() => cardKeyFromRead(33, new Uint8Array(4)), RangeError);
  assert.throws(() => cardKeyFromNumber({ bits: 26, hex: "04000000" }), /more than 26 bits/);
  assert.throws(() => cardKeyFromNumber({ bits: 26, hex: "020304" }), /needs 8 hex digits/);
});

Deno.test("a compiled policy survives the store unchanged", () => {
  assert.deepEqual(unpackCompiled(packCompiled(compiled)), compiled);
  assert.equal(new Set(buffersOf(compiled)).size, 7, "each array has a buffer of its own");
});

Deno.test("references that lead nowhere, and cards that are there twice, are named", () => {
  const broken = (change: (policy: typeof raw) => void, message: RegExp) => {
    const copy = structuredClone(raw);
    change(copy);
    assert.throws(() => compilePolicy(parsePolicy(copy), 1), (error: unknown) => {
      assert.ok(error instanceof PolicyError);
      assert.match(error.message, message);
      return true;
    });
  };
  broken((p) => p.credentials[0]!.cardholder = 99, /credential 11 names cardholder 99/);
  broken(
    (p) => p.cardholders[0]!.accessLevels = ["nobody"],
    /cardholder 1 has access level nobody/,
  );
  broken(
    (p) => p.accessLevels[0]!.grants[0]!.schedule = "never",
    /level student names schedule never/,
  );
  broken((p) => p.credentials[1] = { ...p.credentials[0]!, id: 18 }, /11 and 18 are the same card/);
  broken((p) => p.credentials[1]!.id = 11, /credential 11 is there twice/);
  broken((p) => p.schedules[0]!.id = "always", /built in/);
  broken((p) => p.credentials[0]!.hex = "ffffffff", /more than 26 bits/);
});
