import assert from "node:assert/strict";
import { join } from "node:path";
import { DoorModes } from "./door_modes.ts";

Deno.test("a lock-down outlives a restart; a spoilt file is told and counts as none", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const path = join(dir, "doors.json");
    const noReport = () => assert.fail("nothing is wrong");
    const modes = new DoorModes(path, noReport);
    assert.equal(modes.of("main"), "normal");
    modes.set("main", "locked");
    modes.set("side", "free");
    modes.set("side", "normal");
    const again = new DoorModes(path, noReport);
    assert.equal(again.of("main"), "locked");
    assert.equal(again.of("side"), "normal");
    assert.deepEqual(Array.from(Deno.readDirSync(dir), (entry) => entry.name), ["doors.json"]);

    for (const spoilt of ["", "{", '{"main":"open"}', "[1]", "\0\0"]) {
      Deno.writeTextFileSync(path, spoilt);
      const reports: string[] = [];
      assert.equal(new DoorModes(path, (message) => reports.push(message)).of("main"), "normal");
      assert.match(reports.join(), /cannot be read, all doors start in normal mode/);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
