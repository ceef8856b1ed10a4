/**
 * What runs on a network of {@link file://./lan.ts}: `district FOLDER PORT`, which serves a repository,
 * or `alone|together FOLDER URL TARGET`, a box as far as fetching goes: it says `ready`, fetches when it is
 * told to by a line, says `done`, and shares until its standard input ends.
 *
 * @module
 */
import { join } from "node:path";
import { linuxClock } from "../../hal/linux/mod.ts";
import { download } from "../../ota/fetch/mod.ts";
import { Neighbours } from "../../ota/neighbours/mod.ts";
import { FolderSource } from "../../ota/testing/mod.ts";

const [role, folder, where, target] = Deno.args as [string, string, string, string];
const clock = linuxClock();
const { signal } = new AbortController();
const say = (word: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${word}\n`));

function district(): void {
  const source = new FolderSource(folder);
  Deno.serve({ port: Number(where), onListen: () => say("ready") }, async ({ url, headers }) => {
    const from = Number(/^bytes=(\d+)-$/.exec(headers.get("range") ?? "")?.[1] ?? 0);
    const { status, body } = await source.get(new URL(url).pathname.slice(1), signal, from);
    return new Response(body as BodyInit, { status });
  });
}

async function box(): Promise<void> {
  const wanted = JSON.parse(target);
  const file = join(folder, "file");
  const source = {
    get: (path: string) => fetch(`${where}/${path}`),
  };
  const bring = () => download(wanted, { source, clock, file }, signal);
  const neighbours = role === "alone" ? undefined : Neighbours.open({
    dir: join(folder, "shared"),
    port: 9_182,
    clock,
    random: Math.random,
    log: () => {},
  });
  say("ready");
  const input = Deno.stdin.readable.getReader();
  await input.read();
  await (neighbours?.bring(wanted, file, bring, signal) ?? bring());
  say("done");
  while (!(await input.read()).done);
  await neighbours?.[Symbol.asyncDispose]();
}

if (role === "district") district();
else await box();
