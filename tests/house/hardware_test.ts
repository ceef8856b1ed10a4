import assert from "node:assert/strict";
import { DRIVERS } from "../../drivers/registry.ts";
import { ROOT } from "../../demo/program.ts";

const page = await Deno.readTextFile(`${ROOT}/docs/hardware.md`);

Deno.test("docs/hardware.md lists every driver, with its page, how it was tested, and its limits", () => {
  const rows = page.split("\n").filter((line) => line.startsWith("| ") && !line.includes("---"));
  for (const { id, kind } of DRIVERS) {
    const link = `[\`${id}\`](drivers/${id}.md)`;
    const own = rows.filter((row) => row.includes(link));
    assert.ok(own.length > 0, `no row for the ${kind} ${id}; add one with ${link}`);
    for (const row of own) {
      const cells = row.split("|").slice(1, -1).map((cell) => cell.trim());
      assert.equal(cells.length, 5, row);
      assert.ok(cells.every((cell) => cell !== ""), `an empty cell: ${row}`);
      assert.match(cells[3]!, /simulated|kernel|daemon|real/, `how it was tested: ${row}`);
    }
  }
});
