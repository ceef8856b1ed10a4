/**
 * A box for tests of the guard: `box_child.ts SOCKET FILE ON-CRASH HEARTBEAT-MS`. Its one output is FILE, to which it
 * appends `u` when it unlocks. It obeys lines on standard input: `unlock`, `stuck`, `block MS`,
 * `release`, `goodbye`; and says on standard output what it did.
 *
 * @module
 */
import { TextLineStream } from "./lines.ts";
import { linuxClock } from "../../clock.ts";
import { cPath, libc, O_CREAT, O_RDWR } from "../../libc.ts";
import { GuardClient } from "../client.ts";

const O_APPEND = 0o2000;
const ID = "gpiochip0/17";
const [socket, file, onCrash, heartbeatMs] = Deno.args as [string, string, string, string];
const clock = linuxClock();
let alive = true;

const append = (text: string) =>
  void libc().write(fd, new TextEncoder().encode(text), BigInt(text.length));
const client = await GuardClient.open({
  socket,
  heartbeatMs: Number(heartbeatMs),
  watchdog: { path: "/dev/watchdog0", timeoutMs: 2_000 },
  clock,
  log: (level, message) => console.log(`log ${level} ${message}`),
  start: async () => {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "--no-config", "--allow-ffi"],
        ...[new URL("./guard_on_files.ts", import.meta.url).pathname, socket],
      ],
      detached: true,
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    child.unref();
    console.log(`guard ${child.pid}`);
    await child.status;
  },
}, new AbortController().signal);
client.answerWhile(() => alive);

const claimed = await client.claim(ID);
const fd = claimed?.fd ?? libc().openMode(cPath(file), O_RDWR | O_CREAT | O_APPEND, 0o600);
let level = "b";
const redrive = () => append(level);
client.hold({ id: ID, fd, activeLow: false, onCrash: JSON.parse(onCrash), redrive });
console.log(claimed === undefined ? "requested" : "claimed");
client.ready();
console.log(`ready ${client.fault() ?? ""}`);

for await (const line of Deno.stdin.readable.pipeThrough(new TextLineStream())) {
  const [word, ms] = line.split(" ");
  if (word === "unlock") append(level = "u");
  else if (word === "stuck") alive = false;
  else if (word === "release") await client.release(ID, true);
  else if (word === "block") {
    const endMs = clock.monotonicMs() + Number(ms);
    while (clock.monotonicMs() < endMs);
  } else if (word === "goodbye") break;
  console.log(`did ${word}`);
}
await client[Symbol.asyncDispose]();
Deno.exit(0);
