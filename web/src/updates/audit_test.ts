import assert from "node:assert/strict";
import type { RolloutAuditWord } from "../api/mod.ts";
import { en } from "../i18n/en.ts";
import { zhCn } from "../i18n/zh_cn.ts";
import { auditText, reasonText } from "./audit.ts";

Deno.test("each line of an audit is said in both languages, with its names and numbers", () => {
  const words: readonly [RolloutAuditWord, RegExp][] = [
    [{ kind: "made" }, /^(Made|已创建)$/],
    [{ kind: "stays-open" }, /stays open|持续生效/],
    [{ kind: "approved", group: "canaries" }, /canaries/],
    [{ kind: "begins", group: "the rest" }, /the rest/],
    [
      { kind: "stopped", group: "a tenth", failed: 3, boxes: 98 },
      /a tenth.*98.*3|3 of 98.*a tenth/,
    ],
    [{ kind: "superseded", rollout: 12 }, /12/],
    [{ kind: "takes-back", rollout: 12 }, /12/],
    [{ kind: "rolled-back", by: [13, 14] }, /13, 14/],
    [{ kind: "note", text: "as it was" }, /^as it was$/],
  ];
  for (const messages of [en, zhCn]) {
    for (const [word, says] of words) assert.match(auditText(word, messages), says);
  }
});

Deno.test("a reason has its kind in the reader's language; what is of no kind stays as it is", () => {
  const reason = "unhealthy: reader in was online\nand is not";
  assert.equal(reasonText(reason, en), "Not well, taken back: reader in was online\nand is not");
  assert.match(reasonText(reason, zhCn), /^运行异常，已退回: reader in/);
  for (const text of ["the device was withdrawn", "", "constructor: x", "other: thing"]) {
    assert.equal(reasonText(text, zhCn), text);
  }
});
