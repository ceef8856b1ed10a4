/**
 * A guest with a stock Debian kernel in QEMU. Calls go through a serial port of its machine.
 *
 * @module
 */
import { join } from "node:path";
import type { Clock } from "../../hal/mod.ts";
import type { GuestImage } from "./image.ts";
import { type Line, Lines } from "./lines.ts";
import type { Machine } from "./machines.ts";

/** A boot to the agent takes 5 to 20 s; a busy machine is far slower. */
const BOOT_MS_MAX = 240_000;
const CALL_MS_MAX = 360_000;
/** A key is held this long; a reader that types holds it for 8 to 20 ms. */
const KEY_MS = 20;
/** Lines of the console that a failure shows. */
const CONSOLE_LINES = 40;
const TOOLS = ["busybox", "cpio", "modprobe", "xz", "apt-get"];
const TOOLS_AMD64 = ["make", "gcc"];

/** Why there can be no such guest here; `undefined` when there can. */
export function guestRefusal({ arch, qemu }: Machine): string | undefined {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") return "it needs Linux on x86_64";
  if (Deno.uid() !== 0) return "it needs root, to own the guest's files";
  const path = `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin`.split(":");
  const missing = [qemu, ...TOOLS, ...arch === "amd64" ? TOOLS_AMD64 : []]
    .filter((tool) => !path.some((folder) => exists(join(folder, tool))));
  return missing.length > 0 ? `not installed: ${missing.join(", ")}` : undefined;
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** What the guest's kernel, and the box in it, said last. */
async function consoleOf(folder: string): Promise<string> {
  const said = await Deno.readTextFile(join(folder, "console")).catch(() => "");
  return said.split("\n").slice(-CONSOLE_LINES).join("\n");
}

/** A running guest. Disposal ends it and removes its files. */
export class Guest implements AsyncDisposable {
  /** Where the sockets of its devices are. */
  readonly folder: string;
  readonly #clock: Clock;
  readonly #qemu: Deno.ChildProcess;
  #agent: Lines | undefined;
  #qmp: Lines | undefined;
  #calls = 0;

  private constructor(folder: string, qemu: Deno.ChildProcess, clock: Clock) {
    this.folder = folder;
    this.#qemu = qemu;
    this.#clock = clock;
  }

  /** Boots one. `sockets` are character devices that QEMU offers as Unix sockets in its folder. */
  static async boot(
    machine: Machine,
    image: GuestImage,
    sockets: readonly string[],
    clock: Clock,
  ): Promise<Guest> {
    const folder = await Deno.makeTempDir({ prefix: "gatehouse-hil-" });
    let guest: Guest | undefined;
    try {
      guest = new Guest(folder, start(machine, image, folder, sockets), clock);
      await guest.#meet();
      return guest;
    } catch (error) {
      const said = await consoleOf(folder);
      await (guest?.[Symbol.asyncDispose]() ?? Deno.remove(folder, { recursive: true }));
      throw new Error(`the guest did not come up; its console:\n${said}`, { cause: error });
    }
  }

  /** Calls a procedure of `guest/procedures.ts`. */
  async call(name: string, ...args: readonly unknown[]): Promise<unknown> {
    const id = ++this.#calls;
    this.#agent!.send({ id, call: name, args });
    try {
      const answer = await this.#agent!.find((line) => line.id === id, CALL_MS_MAX, name);
      if (answer.error !== undefined) throw new Error(`in the guest: ${answer.error}`);
      return answer.result;
    } catch (cause) {
      throw new Error(`${name}; the guest's console:\n${await consoleOf(this.folder)}`, { cause });
    }
  }

  /** Has QEMU do something (QMP), such as pull a device out; returns what it answers. */
  async qemu(execute: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    const id = `q${++this.#calls}`;
    this.#qmp!.send({ execute, arguments: args, id });
    const answer = await this.#qmp!.find((line) => line.id === id, CALL_MS_MAX, execute);
    if (answer.error !== undefined) throw new Error(`${execute}: ${JSON.stringify(answer.error)}`);
    return answer.return;
  }

  /** Waits for an event of QEMU's, past or to come, that `fits`; it is taken out. Returns its data. */
  async qemuEvent(
    event: string,
    fits: (data: Line) => boolean = () => true,
    timeoutMs = CALL_MS_MAX,
  ): Promise<Line> {
    const isMeant = (line: Line) => line.event === event && fits(line.data as Line);
    return (await this.#qmp!.find(isMeant, timeoutMs, event)).data as Line;
  }

  /** Types at the machine's keyboard: characters that are keys by themselves, then Enter. */
  async type(text: string): Promise<void> {
    for (const key of [...text, "ret"]) {
      const keys = [{ type: "qcode", data: key }];
      await this.qemu("send-key", { keys, "hold-time": KEY_MS });
      // The keyboard holds 16 changes at most, and the next key is pressed after this one's release.
      await this.#clock.sleep(2 * KEY_MS, new AbortController().signal);
    }
  }

  /** The 32-bit word that the machine has at a physical address, as its processor would read it. */
  async word(address: number): Promise<number> {
    const hex = address.toString(16);
    const said = await this.qemu("human-monitor-command", { "command-line": `xp /1wx 0x${hex}` });
    const found = /: 0x([0-9a-f]{8})/.exec(String(said));
    if (found === null) throw new Error(`there is no word at 0x${hex}: ${said}`);
    return parseInt(found[1]!, 16);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#qemu.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#qemu.status;
    await this.#agent?.[Symbol.asyncDispose]();
    await this.#qmp?.[Symbol.asyncDispose]();
    await Deno.remove(this.folder, { recursive: true });
  }

  async #meet(): Promise<void> {
    this.#qmp = await Lines.connect(join(this.folder, "qmp"), this.#clock);
    this.#agent = await Lines.connect(join(this.folder, "agent"), this.#clock);
    await this.qemu("qmp_capabilities");
    await this.#agent.find((line) => line.id === 0, BOOT_MS_MAX, "the agent");
  }
}

function start(
  machine: Machine,
  image: GuestImage,
  folder: string,
  sockets: readonly string[],
): Deno.ChildProcess {
  // `panic=-1`: a guest that falls over ends QEMU and with it the wait for an answer.
  const { consoleDevice, agentPort } = machine;
  const boot = `console=${consoleDevice} quiet panic=-1 rdinit=/init HIL_PORT=${agentPort}`;
  return new Deno.Command(machine.qemu, {
    args: [
      ...["-accel", "tcg,thread=multi", "-nodefaults", "-display", "none", "-no-reboot"],
      ...["-kernel", join(image.kernel, "kernel"), "-initrd", image.archive, "-append", boot],
      ...["-qmp", `unix:${join(folder, "qmp")},server=on,wait=off`],
      ...["agent", ...sockets].flatMap((name) => [
        "-chardev",
        `socket,id=${name},path=${join(folder, name)},server=on,wait=off`,
      ]),
      ...machine.args(image.kernel, folder),
    ],
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
}
