/**
 * A new driver is one folder and one line: in a copy of the tree a sample driver is added so, and all
 * that must know it does. Then it is broken in ways in which drivers are broken, and the suite says so.
 *
 * @module
 */
import assert from "node:assert/strict";
import { copyOfTree, ROOT, run } from "../house/copy.ts";
import { CHECKS } from "./checks.ts";

const SAMPLE = `${ROOT}tests/contract/sample/`;
const FOLDER = "drivers/card-reader/sample-x1";
const BOX = `
box: { name: desk, timezone: Asia/Shanghai }
buses: [{ id: line, kind: serial, path: /dev/ttyUSB0 }]
readers: [{ id: in, driver: sample-x1, bus: line, repeatMs: 500, door: main }]
outputs: [{ id: lock, driver: simulated }]
doors: [{ id: main, lock: lock, kind: strike }]
`;

/** Each breaks one thing in the sample; the check of that name must fail, and not by chance. */
const FAULTS: readonly {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly check: string;
}[] = [
  {
    name: "bytes of a frame that comes in parts are lost",
    from: "      const { bytes, receivedMonotonicMs } = await port.read(end);",
    to: `$&\n      this.#digits = "";`,
    check: "the same when bytes come one by one",
  },
  {
    name: "it hangs when it is aborted",
    from: "const { bytes, receivedMonotonicMs } = await port.read(end);",
    to: "const { bytes, receivedMonotonicMs } = await port.read(new AbortController().signal);",
    check: "ends at once when it is aborted while it runs",
  },
  {
    name: "it keeps the port when it is closed",
    from: "await using port = ",
    to: "const port = ",
    check: "opens, closes, closes again and opens again",
  },
  {
    name: "it gives up when its adapter is pulled",
    from: "        this.#set(false);",
    to: "$&\n        return;",
    check: "is well again after its device was pulled in mid-frame and put back",
  },
  {
    name: "garbage is more than it can stand",
    from: "        else if (byte === ETX) this.#finish(receivedMonotonicMs);",
    to: "        else if (byte > 0x7f) this.#closing.abort();\n$&",
    check: "is well again after garbage",
  },
  {
    name: "a card is told twice",
    from: "    if (card === digits && receivedMonotonicMs - atMs < this.#options.repeatMs) return;",
    to: "    void [card, atMs];",
    check: "reports exactly what a recorded device did",
  },
];

Deno.test("a new driver is one folder and one line", async (t) => {
  using copy = await copyOfTree();
  const { path } = copy;
  await Deno.symlink(`${ROOT}node_modules`, `${path}/node_modules`);
  const deno = (...args: string[]) => {
    const [command, ...rest] = args;
    const flags = ["--quiet", "--no-check", "--cached-only", "--node-modules-dir=manual"];
    return run([Deno.execPath(), command!, "--allow-all", ...flags, ...rest], { cwd: path });
  };
  const suite = () =>
    deno("test", "--filter=/sample-x1|same id/", "tests/contract/contract_test.ts");
  const driver = await Deno.readTextFile(`${SAMPLE}mod.ts.txt`);

  // The folder …
  await Deno.mkdir(`${path}/${FOLDER}/testdata`, { recursive: true });
  await Deno.writeTextFile(`${path}/${FOLDER}/mod.ts`, driver);
  // … and the line, with its import.
  const registry = `${path}/drivers/registry.ts`;
  const text = await Deno.readTextFile(registry);
  await Deno.writeTextFile(
    registry,
    text.replace(
      "/** Every driver",
      `import { sampleX1 } from "./card-reader/sample-x1/mod.ts";\n$&`,
    )
      .replace("] as const;", "  sampleX1,\n$&"),
  );

  await t.step("its author is told what is missing", async () => {
    const { code, text } = await suite();
    assert.notEqual(code, 0);
    assert.match(text, /card-reader\/sample-x1 has no example: record a device/);
  });

  for (const name of ["example.json", "example.trace"]) {
    await Deno.copyFile(`${SAMPLE}testdata/${name}`, `${path}/${FOLDER}/testdata/${name}`);
  }
  await t.step("the page and the published schema are asked for", async () => {
    const first = await suite();
    assert.match(first.text, /docs\/drivers\/sample-x1\.md is missing/);
    await Deno.copyFile(`${SAMPLE}page.txt`, `${path}/docs/drivers/sample-x1.md`);
    const second = await suite();
    assert.match(second.text, /its options are not published; run: \.\/gatehouse check --schema/);
    const schema = await deno("run", "runtime/main.ts", "check", "--schema");
    await Deno.writeTextFile(`${path}/docs/reference/box.schema.json`, schema.stdout);
  });

  await t.step("it passes the contract suite", async () => {
    const { code, text } = await suite();
    assert.equal(code, 0, text);
    // Every check, its papers, and that its id is its own.
    assert.ok(text.includes(`ok | ${CHECKS.length + 2} passed`), text);
  });

  await t.step("a box.yaml with it is good, and its options are checked", async () => {
    await Deno.writeTextFile(`${path}/box.yaml`, BOX);
    const good = await deno("run", "runtime/main.ts", "check", "--config", "box.yaml");
    assert.equal(good.code, 0, good.text);
    await Deno.writeTextFile(`${path}/box.yaml`, BOX.replace("500", "-1"));
    const bad = await deno("run", "runtime/main.ts", "check", "--config", "box.yaml");
    assert.equal(bad.code, 3, bad.text);
    assert.match(bad.text, /readers\.0\.repeatMs|repeatMs/);
  });

  await t.step("types, lint and layers take it as it is", async () => {
    for (
      const args of [
        [
          "check",
          "--quiet",
          "--node-modules-dir=none",
          `${FOLDER}/mod.ts`,
          "drivers/registry.ts",
        ],
        ["lint", "--quiet", FOLDER],
        ["fmt", "--quiet", "--check", FOLDER],
      ]
    ) {
      const { code, text } = await run([Deno.execPath(), ...args], { cwd: path });
      assert.equal(code, 0, `${args.join(" ")}: ${text}`);
    }
  });

  for (const { name, from, to, check } of FAULTS) {
    await t.step(`caught: ${name}`, async () => {
      assert.equal(driver.split(from).length, 2, "the fault has its place in the sample");
      await Deno.writeTextFile(`${path}/${FOLDER}/mod.ts`, driver.replace(from, to));
      const { code, text } = await suite();
      assert.notEqual(code, 0);
      const line = text.split("\n").find((one) => one.includes(check) && one.includes(" ... "));
      assert.match(line ?? text, /FAILED/);
    });
  }
});
