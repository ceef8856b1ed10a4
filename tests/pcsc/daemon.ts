/**
 * Debian's own pcscd with the virtual reader of vsmartcard, in a mount namespace of its own, so that it
 * neither meets a daemon of this machine nor another test's.
 *
 * @module
 */
import { join } from "node:path";

const VPCD = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";
const START_MS_MAX = 10_000;

/** Why there can be none here; `undefined` when there can. */
export async function pcscdRefusal(): Promise<string | undefined> {
  if (Deno.uid() !== 0) return "only root can give it a /run of its own";
  for (const path of ["/usr/sbin/pcscd", VPCD]) {
    try {
      await Deno.stat(path);
    } catch {
      return `${path} is not here; apt-get install pcscd vsmartcard-vpcd`;
    }
  }
  const { success } = await new Deno.Command("unshare", {
    args: ["--mount", "mount", "-t", "tmpfs", "none", "/run"],
    stdout: "null",
    stderr: "null",
  }).output();
  return success ? undefined : "this machine allows no mounts in a namespace";
}

/** A running daemon. */
export class Pcscd implements AsyncDisposable {
  /** Its socket, as seen from outside its namespace. */
  readonly socket: string;
  /** Where a virtual card connects. */
  readonly port: number;
  readonly #child: Deno.ChildProcess;
  readonly #folder: string;

  private constructor(child: Deno.ChildProcess, folder: string, port: number) {
    this.#child = child;
    this.#folder = folder;
    this.port = port;
    this.socket = `/proc/${child.pid}/root/run/pcscd/pcscd.comm`;
  }

  /** Starts one and waits until it listens. */
  static async start(): Promise<Pcscd> {
    const folder = await Deno.makeTempDir({ prefix: "pcscd-" });
    const port = freePort();
    await Deno.mkdir(join(folder, "reader.conf.d"));
    await Deno.writeTextFile(
      join(folder, "reader.conf.d/vpcd"),
      `FRIENDLYNAME "Virtual PCD"\nDEVICENAME /dev/null:0x${port.toString(16)}\n` +
        `LIBPATH ${VPCD}\nCHANNELID 0x${port.toString(16)}\n`,
    );
    const daemon = `exec pcscd --foreground --error --config ${folder}/reader.conf.d`;
    const child = new Deno.Command("unshare", {
      args: [
        "--mount",
        "sh",
        "-c",
        `mkdir -p /run/pcscd && mount -t tmpfs none /run/pcscd && ${daemon}`,
      ],
      stdout: "null",
      stderr: "null",
    }).spawn();
    const pcscd = new Pcscd(child, folder, port);
    const giveUpMs = performance.now() + START_MS_MAX;
    for (;;) {
      try {
        await Deno.stat(pcscd.socket);
        return pcscd;
      } catch {
        if (performance.now() > giveUpMs) {
          await pcscd[Symbol.asyncDispose]();
          throw new Error("pcscd does not start");
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#child.status;
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** Two ports in a row: vpcd makes two slots. */
function freePort(): number {
  for (;;) {
    try {
      using first = Deno.listen({ port: 0 });
      const port = (first.addr as Deno.NetAddr).port;
      using _second = Deno.listen({ port: port + 1 });
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

/**
 * A card in vpcd's reader: its protocol is a length of two bytes, the high one first, then an APDU, or
 * one byte: 0 off, 1 on, 2 reset, 4 tell the ATR. Disposal takes the card away.
 */
export class VpcdCard implements AsyncDisposable {
  readonly #connection: Deno.Conn;
  readonly #serving: Promise<void>;
  /** Command APDUs that came, in hex. */
  readonly apdus: string[] = [];

  private constructor(
    connection: Deno.Conn,
    atr: string,
    answers: Readonly<Record<string, string>>,
  ) {
    this.#connection = connection;
    this.#serving = this.#serve(atr, answers).catch(() => {});
  }

  /** Lays a card into the reader at `port`; what `answers` does not name is refused (6D00). */
  static async insert(
    port: number,
    answers: Readonly<Record<string, string>>,
    atr = "3b8f8001804f0ca000000306030001000000006a",
  ): Promise<VpcdCard> {
    return new VpcdCard(await Deno.connect({ port }), atr, answers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection.close();
    await this.#serving;
  }

  async #serve(atr: string, answers: Readonly<Record<string, string>>): Promise<void> {
    let held = "";
    const buffer = new Uint8Array(4_096);
    for (;;) {
      const count = await this.#connection.read(buffer);
      if (count === null) return;
      held += buffer.subarray(0, count).toHex();
      for (;;) {
        const length = parseInt(held.slice(0, 4), 16);
        if (Number.isNaN(length) || held.length < 4 + length * 2) break;
        const message = held.slice(4, 4 + length * 2);
        held = held.slice(4 + length * 2);
        if (message === "04") await this.#send(atr);
        else if (length > 1) {
          this.apdus.push(message);
          await this.#send(answers[message] ?? "6d00");
        }
      }
    }
  }

  async #send(hex: string): Promise<void> {
    const length = (hex.length / 2).toString(16).padStart(4, "0");
    const bytes = Uint8Array.fromHex(length + hex);
    for (let sent = 0; sent < bytes.length;) {
      sent += await this.#connection.write(bytes.subarray(sent));
    }
  }
}
