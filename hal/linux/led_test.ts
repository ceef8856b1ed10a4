import assert from "node:assert/strict";
import { join } from "node:path";
import { boardLed } from "./mod.ts";

Deno.test("the board's light is taken from the kernel and switched; a board without one has none", async () => {
  const folder = await Deno.makeTempDir({ prefix: "leds-" });
  try {
    assert.equal(boardLed(folder), undefined);
    assert.equal(boardLed(join(folder, "nothing")), undefined);
    const path = join(folder, "led0");
    await Deno.mkdir(path);
    const read = (name: string) => Deno.readTextFileSync(join(path, name));
    for (const [name, text] of [["max_brightness", "255\n"], ["trigger", "[mmc0]"]] as const) {
      await Deno.writeTextFile(join(path, name), text);
    }
    const led = boardLed(folder)!;
    assert.equal(read("trigger"), "none");
    led.set(true);
    assert.equal(read("brightness"), "255");
    led.set(false);
    assert.equal(read("brightness"), "0");
    await Deno.remove(path, { recursive: true });
    assert.throws(() => led.set(true), /led0/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
