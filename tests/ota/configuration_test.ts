/**
 * A box's configuration from the district: the real district, updater and box, and box.yaml files good and
 * bad. The door opens whatever comes.
 */
import assert from "node:assert/strict";
import { WAY } from "../../ota/testing/mod.ts";
import { until } from "../support/gate_bench.ts";
import { UpdateSite } from "./site.ts";

/** The box's own file, which the district has too, with `change` made. */
const changed = async (site: UpdateSite, change: (yaml: string) => string) =>
  change(await Deno.readTextFile(site.bench.config));
const without = (what: string) => (yaml: string) => {
  const lines = yaml.split("\n").filter((line) => !line.includes(what));
  return lines.join("\n");
};
/** What the district knows of it. */
const told = async (site: UpdateSite) =>
  (await site.desk.ok("li", "GET", "controllers"))[0].attributes["config.sha256"];
const running = async (site: UpdateSite) => (await site.health())?.vitals.config.bundle;

Deno.test("a configuration is tried, kept over restarts, and the box's own file wins when it is changed", async () => {
  await using site = await UpdateSite.open();
  // A reader less, which is meant: the door keeps the other.
  const yaml = (await changed(site, without("id: out,")))
    .replaceAll("reader: out", "reader: in").replace(
      "index: 0 }\n  - { id: fire",
      "index: 1 }\n  - { id: fire",
    )
    .replace("reader: in, index: 1 }\ndoors", "reader: in, index: 2 }\ndoors");
  const path = await site.configuration("2.0.0", { [site.boxId]: yaml, "bx-other": "nonsense" });
  const { state, reason } = await site.outcome(await site.roll(path));
  assert.equal(state, "installed", reason);
  const readers = async () =>
    (await site.health())?.status.readers.map(({ id }: { id: string }) => id);
  assert.deepEqual(await readers(), ["in"]);
  await site.mustOpen();
  const bundle = await running(site);
  assert.match(bundle, /^[0-9a-f]{64}$/);
  await until("the district knows it", async () => await told(site) === bundle);
  site.box.kill("SIGKILL");
  await until("the box is back", async () => (await readers())?.length === 1);
  assert.equal(await running(site), bundle);
  // An installer at the box has changed its file: what he wrote is what counts.
  const own = await Deno.readTextFile(site.bench.config);
  await Deno.writeTextFile(site.bench.config, `${own}# by hand\n`);
  site.box.kill("SIGKILL");
  await until("the box is back with its own", async () => (await readers())?.length === 2);
  assert.equal(await running(site), "");
  await until("the district knows that it is over", async () => await told(site) === "");
  await site.mustOpen();
});

Deno.test("one with faults is not taken, one that opens no door goes back; the door opens all the while", async () => {
  await using site = await UpdateSite.open();
  const bad: readonly [string, (yaml: string) => string, RegExp][] = [
    ["2.0.0", () => "box: { name: [", /unhealthy: .*line 1|unhealthy: .*box\.yaml/],
    ["2.0.1", without("lock: lock"), /unhealthy: .*doors/],
    // Good to read; a reader that is not there.
    [
      "2.0.2",
      (yaml) => yaml.replace("address: 0, door", "address: 9, door"),
      /unhealthy: reader in was online and is not any more/,
    ],
  ];
  for (const [version, change, says] of bad) {
    const path = await site.configuration(version, {
      [site.boxId]: await changed(site, change),
    });
    const { state, reason } = await site.outcome(await site.roll(path));
    assert.equal(state, "failed", version);
    assert.match(reason, says);
    await until("its own is back", async () => await running(site) === "");
    await site.untilHealthy("");
    await site.mustOpen();
  }
});

Deno.test("a bundle without this box restarts nothing", async () => {
  await using site = await UpdateSite.open();
  const { starts } = site.box;
  const path = await site.configuration("2.0.0", { "bx-other": "box: {}" });
  const { state, reason } = await site.outcome(await site.roll(path));
  assert.equal(state, "installed", reason);
  assert.equal(site.box.starts, starts);
  assert.equal(await running(site), "");
});

Deno.test("updater killed in every state, the box ends with the new configuration", async () => {
  await using site = await UpdateSite.open();
  let before = "";
  for (const [turn, state] of WAY.entries()) {
    const yaml = await changed(site, (text) => `${text}# ${turn}\n`);
    const path = await site.configuration(`3.0.${turn}`, { [site.boxId]: yaml });
    await site.installedThoughKilled("config", state, path);
    await until("the box runs with it", async () => {
      const now = await running(site);
      return now !== undefined && now !== before && now !== "";
    });
    before = await running(site);
  }
  await site.mustOpen();
});
