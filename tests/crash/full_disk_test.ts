/** Something else has filled the disk: the door has to go on deciding, and the record too. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { bench, kinds, load, POLICY, until, ZHANG } from "../support/gate_bench.ts";
import { SmallDisk, smallDiskRefusal } from "../support/small_disk.ts";

if (smallDiskRefusal !== undefined) console.log(`skipped: full disks: ${smallDiskRefusal}`);

Deno.test({
  name: "a box starts, opens its door and keeps its record on a disk that is full",
  ignore: smallDiskRefusal !== undefined,
  async fn() {
    await using disk = await SmallDisk.mount(64);
    await using site = await bench(undefined, disk.path);
    await load(site, POLICY);
    const opens = async (grants: number) => {
      await until("it opens", async () => {
        site.inside.present(32, ZHANG);
        await new Promise((resolve) => setTimeout(resolve, 300));
        return site.inside.output(0);
      });
      await until("it relocks", () => !site.inside.output(0));
      await until("on record", async () => {
        const granted = kinds(await site.events()).filter((kind) => kind === "access.granted");
        return granted.length >= grants;
      });
    };
    {
      await using _box = await site.start();
      const reserve = join(site.data, "reserve");
      await until("the reserve is laid up", () => sizeOf(reserve) === 8 << 20);
      assert.ok(disk.fill("junk") > 0);
      await opens(1);
    }
    {
      await using _box = await site.start();
      await opens(2);
    }
    // And once more, the reserve being used up: it starts, and nothing that it had is thrown away.
    disk.fill("more");
    await using _box = await site.start();
    await until("it opens by the policy that it cannot write", async () => {
      site.inside.present(32, ZHANG);
      await new Promise((resolve) => setTimeout(resolve, 300));
      return site.inside.output(0);
    });
    const names = [...Deno.readDirSync(site.data)].map(({ name }) => name);
    assert.deepEqual(
      names.filter((name) => name.endsWith(".corrupt")),
      [],
      "nothing was set aside",
    );
  },
});

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch {
    return -1;
  }
}
