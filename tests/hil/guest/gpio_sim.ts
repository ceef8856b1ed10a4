/**
 * A GPIO chip of the kernel's simulator (`gpio-sim`, configfs), as its wiring sees it.
 *
 * @module
 */
const CONFIG = "/sys/kernel/config/gpio-sim";

const readText = (path: string) => Deno.readTextFileSync(path).trim();
const writeText = (path: string, text: string) => Deno.writeTextFileSync(path, text);

/** A chip with a label, present while it is live. */
export class SimulatedChip {
  readonly label: string;
  readonly #config: string;
  #lines = "";

  /** Plugs a chip in. */
  constructor(label: string, lines: number) {
    this.label = label;
    this.#config = `${CONFIG}/${label}`;
    Deno.mkdirSync(`${this.#config}/bank`, { recursive: true });
    writeText(`${this.#config}/bank/num_lines`, String(lines));
    writeText(`${this.#config}/bank/label`, label);
    this.live(true);
  }

  /** Plugs it in or pulls it out, with whoever holds its lines. */
  live(on: boolean): void {
    // The kernel refuses what is so already.
    if (on === (this.#lines !== "")) return;
    writeText(`${this.#config}/live`, on ? "1" : "0");
    this.#lines = "";
    if (!on) return;
    const device = readText(`${this.#config}/dev_name`);
    this.#lines = `/sys/devices/platform/${device}/${readText(`${this.#config}/bank/chip_name`)}`;
  }

  /** Has the wiring pull a line, which an input follows. */
  pull(line: number, up: boolean): void {
    writeText(`${this.#lines}/sim_gpio${line}/pull`, up ? "pull-up" : "pull-down");
  }

  /** What the wiring of a line does. */
  pulled(line: number): string {
    return readText(`${this.#lines}/sim_gpio${line}/pull`);
  }

  /** The voltage on a line: 1 is high. */
  level(line: number): number {
    return Number(readText(`${this.#lines}/sim_gpio${line}/value`));
  }

  /** Takes it away for good. */
  [Symbol.dispose](): void {
    this.live(false);
    Deno.removeSync(`${this.#config}/bank`);
    Deno.removeSync(this.#config);
  }
}
