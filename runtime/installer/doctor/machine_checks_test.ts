import assert from "node:assert/strict";
import type { StorageFacts } from "../../../hal/mod.ts";
import { bySeverity, type Finding, findingLines, summaryLine } from "./finding.ts";
import {
  judgeClock,
  judgeMemory,
  judgePower,
  judgeStorage,
  judgeWatchdog,
  judgeWear,
} from "./machine_checks.ts";

const NOW = Date.UTC(2026, 8, 1, 8);
const brief = (findings: readonly Finding[]) => findings.map((f) => `${f.check} ${f.severity}`);
const RTC = { batteryClocks: ["rtc0"], batteryWallMs: NOW + 2_000 };

Deno.test("clocks: good, no battery, apart, not synchronised, years off", () => {
  assert.deepEqual(brief(judgeClock(RTC, NOW, "synchronised")), [
    "clock-battery ok",
    "clock-time ok",
  ]);
  const none = { batteryClocks: [], batteryWallMs: undefined };
  assert.deepEqual(brief(judgeClock(none, NOW, "unsynchronised")), [
    "clock-battery warning",
    "clock-time warning",
  ]);
  const apart = { ...RTC, batteryWallMs: NOW - 2 * 86_400_000 };
  assert.equal(brief(judgeClock(apart, NOW, "synchronised"))[0], "clock-battery warning");
  const lost = Date.UTC(1970, 0, 1, 0, 5);
  assert.equal(brief(judgeClock(RTC, lost, "unsynchronised"))[1], "clock-time fault");
  assert.equal(brief(judgeClock(RTC, Date.UTC(2099, 0), "synchronised"))[1], "clock-time fault");
});

Deno.test("storage: each way in which events could not be kept", () => {
  const good: StorageFacts = {
    path: "/data",
    existing: "/data",
    totalBytes: 32e9,
    freeBytes: 20e9,
    totalInodes: 1e6,
    freeInodes: 9e5,
    write: "ok",
  };
  const judged = (facts: Partial<StorageFacts>) => brief(judgeStorage({ ...good, ...facts }))[0];
  assert.equal(judged({}), "data-folder ok");
  assert.equal(judged({ write: "read-only" }), "data-folder fault");
  assert.equal(judged({ write: "permission" }), "data-folder fault");
  assert.equal(judged({ write: "failed" }), "data-folder fault");
  assert.equal(judged({ write: "full" }), "data-space fault");
  assert.equal(judged({ freeBytes: 1e6 }), "data-space fault");
  assert.equal(judged({ freeInodes: 3 }), "data-space fault");
  assert.equal(judged({ freeInodes: 900 }), "data-space warning");
  assert.equal(judged({ freeBytes: 300e6 }), "data-space warning");
  assert.equal(judged({ totalInodes: 0, freeInodes: 0 }), "data-folder ok", "btrfs counts none");
});

Deno.test("wear, memory, power and watchdog", () => {
  const wear = (usedPercent: number, endOfLife = false) =>
    brief(judgeWear([{ device: "mmcblk0", usedPercent, endOfLife }]))[0];
  assert.deepEqual([wear(30), wear(100), wear(110), wear(30, true)], [
    "flash-wear ok",
    "flash-wear warning",
    "flash-wear fault",
    "flash-wear fault",
  ]);
  assert.deepEqual(judgeMemory(undefined), []);
  assert.deepEqual(brief(judgeMemory({ totalBytes: 4e9, availableBytes: 50e6 })), [
    "memory warning",
  ]);
  const flags = { underVoltageNow: false, underVoltageSinceBoot: false, throttledNow: false };
  assert.deepEqual(brief(judgePower(flags)), ["power ok"]);
  assert.deepEqual(brief(judgePower({ ...flags, underVoltageSinceBoot: true })), ["power warning"]);
  const [now] = judgePower({
    underVoltageNow: true,
    underVoltageSinceBoot: true,
    throttledNow: true,
  });
  assert.equal(now!.severity, "fault");
  assert.match(now!.what.en, /slowed down/);
  assert.deepEqual(brief(judgeWatchdog([], undefined)), ["watchdog info"]);
  assert.deepEqual(brief(judgeWatchdog(["/dev/watchdog0"], "/dev/watchdog0")), ["watchdog ok"]);
  const [missing] = judgeWatchdog(["/dev/watchdog0"], "/dev/watchdog1");
  assert.match(missing!.advice!.en, /there is \/dev\/watchdog0; mend box.yaml/);
});

Deno.test("findings are shown worst first, in either language, the advice below", () => {
  const findings = [
    ...judgeClock(RTC, NOW, "synchronised"),
    ...judgeMemory({ totalBytes: 4e9, availableBytes: 50e6 }),
  ];
  assert.equal(bySeverity(findings)[0]!.check, "memory");
  const lines = findingLines(bySeverity(findings)[0]!, "zh");
  assert.match(lines[0]!, /^警告 {5}memory: 可用内存 47 MiB$/);
  assert.match(lines[1]!, /^ {9}→ 关闭其他程序/);
  assert.equal(summaryLine(findings, "en"), "3 things looked at: 0 faults, 1 warnings");
});
