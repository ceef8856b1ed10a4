/**
 * A guest with a stock Debian kernel, gpio-sim and a USB host controller, in QEMU.
 *
 * Its whole file system is an initial RAM disk: busybox, this Deno with the libraries that it is
 * linked to, and the box as it is shipped. Calls go through a virtio port.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { ROOT } from "../../demo/program.ts";
import type { Clock } from "../../hal/mod.ts";
import { Lines } from "./lines.ts";

const HERE = join(ROOT, "tests/hil");
const CACHE = join(ROOT, ".gatehouse/cache/hil");
/** A boot to the agent takes 5 s; a busy machine is far slower. */
const BOOT_MS_MAX = 180_000;
const CALL_MS_MAX = 90_000;
const MEMORY_MB = 2_048;
/** Lines of the console that a failure shows. */
const CONSOLE_LINES = 40;
const TOOLS = ["qemu-system-x86_64", "busybox", "cpio", "make", "gcc", "modprobe", "apt-get"];

/** Why there can be no guest here; `undefined` when there can. */
export function guestRefusal(): string | undefined {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") return "it needs Linux on x86_64";
  if (Deno.uid() !== 0) return "it needs root, to own the guest's files";
  const path = `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin`.split(":");
  const missing = TOOLS.filter((tool) => !path.some((folder) => exists(join(folder, tool))));
  return missing.length > 0 ? `not installed: ${missing.join(", ")}` : undefined;
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

async function run(command: string, args: readonly string[], cwd = ROOT): Promise<string> {
  const output = await new Deno.Command(command, { args: [...args], cwd, stdin: "null" }).output();
  const [stdout, stderr] = [output.stdout, output.stderr].map((b) => new TextDecoder().decode(b));
  if (!output.success) throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
  return stdout!;
}

/** Packs the guest's files; returns the archive. */
async function pack(kernel: string, folder: string): Promise<string> {
  const root = join(folder, "root");
  for (const name of ["bin", "proc", "sys", "dev", "modules", "gatehouse/.gatehouse/bin"]) {
    await Deno.mkdir(join(root, name), { recursive: true });
  }
  await Deno.copyFile(join(HERE, "guest/init"), join(root, "init"));
  await run("cp", ["/bin/busybox", join(root, "bin/busybox")]);
  await run("cp", ["-r", join(kernel, "modules"), root]);
  const deno = Deno.execPath();
  const linked = (await run("ldd", [deno])).matchAll(/(\/\S+) \(0x/g);
  for (const [, library] of linked) {
    await Deno.mkdir(join(root, dirname(library!)), { recursive: true });
    await Deno.copyFile(library!, join(root, library!));
  }
  await run(deno, ["run", "-A", "tools/production.ts", "runtime/main.ts", join(root, "gatehouse")]);
  await Deno.mkdir(join(root, "gatehouse/tests/hil"), { recursive: true });
  await run("cp", ["-r", join(HERE, "guest"), join(root, "gatehouse/tests/hil/guest")]);
  await run("cp", [deno, join(root, "gatehouse/.gatehouse/bin/deno")]);
  await Deno.symlink("/gatehouse/.gatehouse/bin/deno", join(root, "bin/deno"));
  const archive = join(folder, "initrd");
  await run("sh", ["-c", `find . | cpio --quiet -o -H newc >"$1"`, "sh", archive], root);
  await Deno.remove(root, { recursive: true });
  return archive;
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

  /** Boots one; what is missing for it is prepared first. */
  static async boot(clock: Clock): Promise<Guest> {
    const kernel = (await run("sh", [join(HERE, "prepare.sh"), CACHE])).trim().split("\n").at(-1)!;
    const folder = await Deno.makeTempDir({ prefix: "gatehouse-hil-" });
    let guest: Guest | undefined;
    try {
      const archive = await pack(kernel, folder);
      guest = new Guest(folder, start(join(kernel, "vmlinux"), archive, folder), clock);
      await guest.#meet();
      // QEMU has it in memory; what stays behind after a kill is small.
      await Deno.remove(archive);
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
    const answer = await this.#agent!.find((line) => line.id === id, CALL_MS_MAX, name);
    if (answer.error !== undefined) {
      throw new Error(
        `in the guest: ${answer.error}\nits console:\n${await consoleOf(this.folder)}`,
      );
    }
    return answer.result;
  }

  /** Has QEMU do something (QMP), such as pull a device out. */
  async qemu(execute: string, args: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const id = `q${++this.#calls}`;
    this.#qmp!.send({ execute, arguments: args, id });
    const answer = await this.#qmp!.find((line) => line.id === id, CALL_MS_MAX, execute);
    if (answer.error !== undefined) throw new Error(`${execute}: ${JSON.stringify(answer.error)}`);
  }

  /** Waits for an event of QEMU's, past or to come, about `device`. */
  async qemuEvent(event: string, device: string): Promise<void> {
    await this.#qmp!.find(
      (line) => line.event === event && (line.data as { device?: string }).device === device,
      CALL_MS_MAX,
      event,
    );
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

function start(kernel: string, initrd: string, folder: string): Deno.ChildProcess {
  const socket = (name: string) =>
    `socket,id=${name},path=${join(folder, name)},server=on,wait=off`;
  return new Deno.Command("qemu-system-x86_64", {
    args: [
      ...["-accel", "tcg,thread=multi", "-M", "q35", "-cpu", "max", "-smp", "2"],
      ...["-m", String(MEMORY_MB), "-nodefaults", "-display", "none", "-no-reboot"],
      ...["-kernel", kernel, "-initrd", initrd],
      // `panic=-1`: a guest that falls over ends QEMU and with it the wait for an answer.
      ...["-append", "console=ttyS0 quiet panic=-1 rdinit=/init"],
      ...["-serial", `file:${join(folder, "console")}`],
      ...["-qmp", `unix:${join(folder, "qmp")},server=on,wait=off`],
      ...["-device", "virtio-serial-pci", "-chardev", socket("agent")],
      ...["-device", "virtserialport,chardev=agent,name=agent"],
      ...["-device", "qemu-xhci", "-chardev", socket("reader")],
    ],
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
}
