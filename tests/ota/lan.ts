/**
 * A school's network: boxes in network namespaces of their own at one switch, and the district behind
 * one line whose bytes are counted.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { linuxClock } from "../../hal/linux/mod.ts";
import { pathOf } from "../../ota/fetch/mod.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const clock = linuxClock();
const DONE_MS_MAX = 180_000;
const PORT = 8_080;
const PROGRAM = [
  ...[Deno.execPath(), "run", "--allow-all", "--no-check", "--cached-only"],
  ...[`--config=${ROOT}deno.json`, `${ROOT}tests/ota/lan_program.ts`],
];

async function ip(...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("ip", { args }).output();
  const text = new TextDecoder();
  if (!success) throw new Error(`ip ${args.join(" ")}: ${text.decode(stderr)}`);
  return text.decode(stdout);
}

/** Why there can be no such network here; `undefined` when there can. */
export async function lanRefusal(): Promise<string | undefined> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) {
    return "network namespaces need Linux and root";
  }
  try {
    await ip("netns", "add", "gatehouse-try");
    await ip("netns", "delete", "gatehouse-try");
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Has `boxes` fetch `content` at once; the bytes that the district sent, by its line's own count. */
export async function fetchAtOnce(
  content: Uint8Array,
  boxes: number,
  mode: "alone" | "together",
): Promise<number> {
  const folder = await Deno.makeTempDir({ prefix: "gatehouse-lan-" });
  const tag = Math.random().toString(36).slice(2, 6);
  const space = (name: string) => `gh${tag}-${name}`;
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const add = async (name: string) => {
    await ip("netns", "add", space(name));
    stack.defer(async () => void await ip("netns", "delete", space(name)));
    await ip("-n", space(name), "link", "set", "lo", "up");
  };
  await add("switch");
  await ip("-n", space("switch"), "link", "add", "br0", "type", "bridge");
  await ip("-n", space("switch"), "link", "set", "br0", "up");
  const attach = async (name: string, address: string) => {
    await add(name);
    const port = ["link", "add", "eth0", "netns", space(name), "type", "veth"];
    await ip(...port, "peer", "name", name, "netns", space("switch"));
    await ip("-n", space("switch"), "link", "set", name, "master", "br0", "up");
    await ip("-n", space(name), "addr", "add", `${address}/16`, "dev", "eth0");
    await ip("-n", space(name), "link", "set", "eth0", "up");
    await ip("-n", space(name), "route", "add", "default", "dev", "eth0");
  };
  await attach("line", "10.77.0.1");
  const sha256 = createHash("sha256").update(content).digest("hex");
  const target = { path: "app/1.0.0/a.zst", lengthBytes: content.length, sha256, custom: {} };
  await Deno.mkdir(join(folder, "targets/app/1.0.0"), { recursive: true });
  await Deno.writeFile(join(folder, pathOf(target)), content);
  const spawn = (name: string, ...args: readonly string[]) => {
    const child = new Deno.Command("ip", {
      args: ["netns", "exec", space(name), ...PROGRAM, ...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    stack.defer(async () => {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended.
      }
      await child.status;
    });
    return { stdin: child.stdin.getWriter(), said: words(child.stdout) };
  };
  await spawn("line", "district", folder, String(PORT)).said("ready");
  const children = [];
  for (let i = 0; i < boxes; i++) {
    await attach(`box${i}`, `10.77.1.${i + 1}`);
    const box = join(folder, `box${i}`);
    await Deno.mkdir(box);
    const url = `http://10.77.0.1:${PORT}`;
    children.push({ box, ...spawn(`box${i}`, mode, box, url, JSON.stringify(target)) });
  }
  await Promise.all(children.map(({ said }) => said("ready")));
  const before = await sent(space("line"));
  await Promise.all(children.map(({ stdin }) => stdin.write(new TextEncoder().encode("go\n"))));
  await Promise.all(children.map(({ said }) => said("done")));
  const bytes = await sent(space("line")) - before;
  for (const { box } of children) assert.deepEqual(await Deno.readFile(join(box, "file")), content);
  await Promise.all(children.map(({ stdin }) => stdin.close()));
  return bytes;
}

/** Waits for words that a program says, each on a line of its own. */
function words(stream: ReadableStream<Uint8Array>): (word: string) => Promise<void> {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  return async (word) => {
    const late = new AbortController();
    const end = clock.sleep(DONE_MS_MAX, late.signal).then(
      () => assert.fail(`it does not say ${word}`),
      () => {},
    );
    while (!text.includes(`${word}\n`)) {
      const read = await Promise.race([reader.read(), end]);
      assert.ok(read !== undefined && !read.done, `it ended before it said ${word}`);
      text += read.value;
    }
    late.abort();
  };
}

/** Bytes that a namespace's line has sent. */
async function sent(space: string): Promise<number> {
  const [{ stats64 }] = JSON.parse(await ip("-n", space, "-s", "-j", "link", "show", "eth0"));
  return stats64.tx.bytes;
}
