/**
 * A folder that stands for `/`, with ports that are real pseudo-terminals.
 *
 * @module
 */
import { join } from "node:path";
import type { Clock, SerialPort } from "../../hal/mod.ts";
import { openPtyPair, type PtyPair } from "../../hal/linux/mod.ts";
import { mismatchedUart } from "../../hal/sim/mod.ts";

/** A machine as `--root` takes one. Disposal pulls every plug. */
export class FakeMachine implements AsyncDisposable {
  /** Its `/`. */
  readonly root: string = Deno.makeTempDirSync({ prefix: "gatehouse-machine-" });
  readonly #clock: Clock;
  readonly #pairs: PtyPair[] = [];

  /** An empty machine. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Writes a file of `/sys`, `/proc` or `/etc`. */
  write(path: string, text: string): void {
    const full = join(this.root, path);
    Deno.mkdirSync(join(full, ".."), { recursive: true });
    Deno.writeTextFileSync(full, text);
  }

  /**
   * Plugs a USB adapter in: a pty behind `/dev/NAME` and a link of `/dev/serial/by-id`. The far end is
   * a UART at `baudRate`, its wires exchanged if `inverted`.
   */
  plugSerial(
    name: string,
    options: { readonly baudRate: number; readonly inverted?: boolean },
  ): { readonly path: string; readonly port: SerialPort; readonly pair: PtyPair } {
    const pair = openPtyPair(this.#clock);
    this.#pairs.push(pair);
    const device = `sys/devices/usb/${name}`;
    this.write(`${device}/tty/${name}/dev`, "188:0\n");
    this.#link(`${device}/tty/${name}/device`, join(this.root, device));
    this.#link(`sys/class/tty/${name}`, join(this.root, `${device}/tty/${name}`));
    this.#link(`dev/${name}`, pair.path);
    const path = `/dev/serial/by-id/usb-Simulated_${name}-if00-port0`;
    this.#link(path, join(this.root, `dev/${name}`));
    const { baudRate, inverted = false } = options;
    const port = mismatchedUart(pair.port, {
      ownBaud: baudRate,
      peerBaud: () => pair.baudRate(),
      inverted,
    });
    return { path, port, pair };
  }

  #link(path: string, target: string): void {
    const full = join(this.root, path);
    Deno.mkdirSync(join(full, ".."), { recursive: true });
    Deno.symlinkSync(target, full);
  }

  /** See the class. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const pair of this.#pairs) await pair[Symbol.asyncDispose]();
    Deno.removeSync(this.root, { recursive: true });
  }
}
