/**
 * A card image in a PC with UEFI firmware, in QEMU. The test's own way in is systemd's debug shell,
 * which the image does not start: the card's copy is told to by its boot entry.
 *
 * @module
 */
import { join } from "node:path";
import type { Clock } from "../../hal/mod.ts";
import { connectUnix } from "../hil/lines.ts";
import { Wire } from "../hil/wire.ts";

const FIRMWARE = "/usr/share/OVMF/OVMF_CODE.fd";
const VARIABLES = "/usr/share/OVMF/OVMF_VARS.fd";
const TOOLS = [
  "qemu-system-x86_64",
  "openssl",
  "mmdebstrap",
  "mkfs.erofs",
  "mcopy",
  "sfdisk",
  "debugfs",
];
const MIB = 1 << 20;
/** A boot takes 30 s here; a busy machine is far slower. */
const BOOT_MS_MAX = 300_000;
const CALL_MS_MAX = 600_000;

/** Why no card can be built and booted here; `undefined` when it can. */
export function cardRefusal(): string | undefined {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") return "it needs Linux on x86_64";
  if (Deno.uid() !== 0) return "it needs root, to own the image's files";
  const path = `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin`.split(":");
  const missing = TOOLS.filter((tool) => !path.some((folder) => exists(join(folder, tool))));
  if (!exists(FIRMWARE)) missing.push("ovmf");
  return missing.length > 0 ? `not installed: ${missing.join(", ")}` : undefined;
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

async function run(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  if (!success) throw new Error(`${program}: ${new TextDecoder().decode(stderr)}`);
}

/** Where a partition is, in MiB. */
export interface Partition {
  /** From the card's begin. */
  readonly startMib: number;
  readonly sizeMib: number;
}

/** Where the partition `name` is. */
export async function partition(card: string, name: string): Promise<Partition> {
  const { stdout } = await new Deno.Command("sfdisk", { args: ["--json", card] }).output();
  const { partitiontable } = JSON.parse(new TextDecoder().decode(stdout));
  // An MBR has no names: there the data is the last one.
  const found = partitiontable.label === "dos"
    ? partitiontable.partitions.at(-1)
    : partitiontable.partitions.find((one: { name: string }) => one.name === name);
  return { startMib: found.start * 512 / MIB, sizeMib: found.size * 512 / MIB };
}

/** Puts a file into the card's data partition. */
export async function putIntoData(card: string, name: string, text: string): Promise<void> {
  const { startMib } = await partition(card, "data");
  await withData(card, async (data, folder) => {
    const file = join(folder, "file");
    await Deno.writeTextFile(file, text);
    await run("debugfs", "-w", "-R", `write ${file} ${name}`, data);
    await run(
      "dd",
      "bs=1M",
      "status=none",
      `if=${data}`,
      `of=${card}`,
      `seek=${startMib}`,
      "conv=notrunc",
    );
  });
}

/** A file of the card's data partition as the next start will find it, or nothing; the machine is off. */
export async function readFromData(card: string, name: string): Promise<string> {
  return await withData(card, async (data, folder) => {
    // What is in the file system's journal only is there as well.
    await run("debugfs", "-w", "-R", "journal_run", data);
    const file = join(folder, "file");
    await run("debugfs", "-R", `dump ${name} ${file}`, data);
    return exists(file) ? await Deno.readTextFile(file) : "";
  });
}

/** With a copy of the data partition. */
async function withData<T>(
  card: string,
  act: (data: string, folder: string) => Promise<T>,
): Promise<T> {
  const { startMib, sizeMib } = await partition(card, "data");
  const folder = await Deno.makeTempDir({ prefix: "card-data-" });
  try {
    const data = join(folder, "data");
    // A grown partition does not end at a whole MiB.
    const place = [
      `skip=${startMib * MIB}`,
      `count=${sizeMib * MIB}`,
      "iflag=skip_bytes,count_bytes",
    ];
    await run("dd", "bs=1M", "status=none", `if=${card}`, `of=${data}`, ...place);
    return await act(data, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Adds words to the kernel's command line of a slot. */
export async function addToBootEntry(
  card: string,
  words: string,
  slot: "a" | "b" = "a",
): Promise<void> {
  const { startMib } = await partition(card, "esp");
  const at = `${card}@@${startMib * MIB}`;
  const folder = await Deno.makeTempDir({ prefix: "card-entry-" });
  try {
    const file = join(folder, "entry");
    const entry = `::/loader/entries/gatehouse-${slot}.conf`;
    await run("mcopy", "-i", at, entry, file);
    const text = await Deno.readTextFile(file);
    await Deno.writeTextFile(file, text.replace(/^options .*$/m, `$& ${words}`));
    await run("mcopy", "-o", "-i", at, file, entry);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What a card is put into. */
export interface CardMachine {
  /** Of QEMU. */
  readonly program: string;
  readonly args: readonly string[];
  /** QEMU's words for a further serial line at a character device. */
  line(chardev: string): readonly string[];
}

/** A PC with UEFI firmware, which remembers; its clock stands at `rtc` when it is switched on, or is right. */
export async function pc(card: string, rtc = "utc"): Promise<CardMachine> {
  const variables = `${card}.variables`;
  if (!exists(variables)) await Deno.copyFile(VARIABLES, variables);
  return {
    program: "qemu-system-x86_64",
    args: [
      ...["-M", "q35", "-rtc", `base=${rtc}`],
      ...["-drive", `if=pflash,format=raw,readonly=on,file=${FIRMWARE}`],
      ...["-drive", `if=pflash,format=raw,cache=writethrough,file=${variables}`],
    ],
    line: (chardev) => ["-serial", `chardev:${chardev}`],
  };
}

/** A machine that runs from a card. Disposal pulls its plug. */
export class CardGuest implements AsyncDisposable {
  readonly #folder: string;
  readonly #qemu: Deno.ChildProcess;
  readonly #clock: Clock;
  readonly #reading: Promise<void>;
  #shell: Deno.UnixConn;
  #said = "";
  #isOff = false;
  #calls = 0;
  /** The reader's end of its second serial line. */
  readonly wire: Wire;

  private constructor(
    folder: string,
    qemu: Deno.ChildProcess,
    shell: Deno.UnixConn,
    wire: Wire,
    clock: Clock,
  ) {
    this.#folder = folder;
    this.#qemu = qemu;
    void qemu.status.then(() => this.#isOff = true);
    this.#shell = shell;
    this.wire = wire;
    this.#clock = clock;
    this.#reading = this.#read();
  }

  /**
   * Switches a machine with `card` on. What it writes is on the card before the guest hears of it.
   * What a PC remembers is kept in `CARD.variables`, beside the card; another machine can be given.
   */
  static async start(card: string, clock: Clock, machine?: CardMachine): Promise<CardGuest> {
    const { program, args, line } = machine ?? await pc(card);
    const folder = await Deno.makeTempDir({ prefix: "card-guest-" });
    const socket = (name: string) => [
      ...["-chardev", `socket,id=${name},path=${join(folder, name)},server=on,wait=off`],
      ...line(name),
    ];
    const qemu = new Deno.Command(program, {
      args: [
        ...args,
        // One processor: with several, QEMU's emulation of a PC trips over code that the kernel patches
        // while it starts (an int3 that nobody planted), in every third start here.
        ...["-accel", "tcg", "-smp", "1", "-m", "1024"],
        ...["-nodefaults", "-display", "none", "-nic", "user"],
        ...["-drive", `file=${card},if=virtio,format=raw,cache=writethrough`],
        ...["-serial", `file:${join(folder, "console")}`],
        ...socket("shell"),
        ...socket("wire"),
      ],
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    try {
      const shell = await connectUnix(join(folder, "shell"), clock);
      const wire = await Wire.connect(join(folder, "wire"), clock);
      return new CardGuest(folder, qemu, shell, wire, clock);
    } catch (error) {
      qemu.kill("SIGKILL");
      await qemu.status;
      throw error;
    }
  }

  /** Waits until the shell is there. */
  async booted(withinMs = BOOT_MS_MAX): Promise<void> {
    const endMs = this.#clock.monotonicMs() + withinMs;
    while (!/# $/.test(this.#said)) {
      if (this.#isOff) throw new Error("the machine is off");
      if (this.#clock.monotonicMs() > endMs) {
        const console = await Deno.readTextFile(join(this.#folder, "console")).catch(() => "");
        throw new Error(`no shell; the console said: ${console.slice(-2_000)}`);
      }
      await this.#clock.sleep(100, new AbortController().signal);
    }
    // No colours, no editing, no pages: what comes back is what commands print.
    await this.sh(
      "bind 'set enable-bracketed-paste off' 2>/dev/null; stty -echo cols 400; export PS1= TERM=dumb SYSTEMD_PAGER= SYSTEMD_COLORS=0",
    );
  }

  /** Waits until the shell is there, whether the machine has started anew meanwhile or not. */
  async ready(): Promise<void> {
    let answered = false;
    this.sh("true").then(() => answered = true, () => {});
    while (!answered && !/# $/.test(this.#said)) {
      if (this.#isOff) throw new Error("the machine is off");
      await this.#clock.sleep(100, new AbortController().signal);
    }
    if (/# $/.test(this.#said)) await this.booted();
  }

  /** Runs a shell's command as root in the guest; what it printed, and 0 or how it ended. */
  async sh(command: string): Promise<{ readonly code: number; readonly said: string }> {
    const id = ++this.#calls;
    const from = this.#said.length;
    const bytes = new TextEncoder().encode(`${command}; echo "DONE-${id}-$?-"\n`);
    for (let at = 0; at < bytes.length;) at += await this.#shell.write(bytes.subarray(at));
    // The terminal may show the command itself as well: there no number stands behind it.
    const done = new RegExp(`DONE-${id}-(\\d+)-`);
    const endMs = this.#clock.monotonicMs() + CALL_MS_MAX;
    for (;;) {
      const said = this.#said.slice(from);
      const found = done.exec(said);
      if (found !== null) {
        return { code: Number(found[1]), said: said.slice(0, found.index).replaceAll("\r", "") };
      }
      if (this.#isOff) throw new Error(`${command}: the machine is off`);
      if (this.#clock.monotonicMs() > endMs) throw new Error(`${command}: no end; ${said}`);
      await this.#clock.sleep(50, new AbortController().signal);
    }
  }

  /** Resolves when the machine has switched itself off. */
  async off(): Promise<void> {
    await this.#qemu.status;
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    const chunk = new Uint8Array(64 << 10);
    for (;;) {
      const count = await this.#shell.read(chunk).catch(() => null);
      if (count === null) return;
      this.#said += decoder.decode(chunk.subarray(0, count), { stream: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#qemu.kill("SIGKILL");
    } catch {
      // It is off already.
    }
    await this.#qemu.status;
    try {
      this.#shell.close();
    } catch {
      // It went with the machine.
    }
    await this.#reading;
    await this.wire[Symbol.asyncDispose]();
    await Deno.remove(this.#folder, { recursive: true });
  }
}
