import type { OutputLine } from "../../../drivers/contract.ts";
import { HalError } from "../../../hal/mod.ts";
import { text } from "../language.ts";
import type { ConfigDraft, DraftDoor } from "./draft.ts";
import type { Questions } from "./questions.ts";
import { clickLine, clickRelay } from "./relay.ts";
import { type OutputPlace, pointWhere, type Sighting } from "./sighting.ts";
import type { LearnHosts } from "./watch.ts";

type SeenReader = Extract<Sighting, { kind: "reader" }>;

/** Finds the lock of a door by its click, and adds both. */
export class LockFinder {
  readonly #draft: ConfigDraft;
  readonly #ask: Questions;
  readonly #hosts: LearnHosts;
  readonly #signal: AbortSignal;

  /** Adds to `draft`. */
  constructor(draft: ConfigDraft, ask: Questions, hosts: LearnHosts, signal: AbortSignal) {
    this.#draft = draft;
    this.#ask = ask;
    this.#hosts = hosts;
    this.#signal = signal;
  }

  /** Adds `door` with its lock, which may be a relay of one of `readers`. */
  async find(door: DraftDoor, readers: readonly SeenReader[]): Promise<void> {
    const place = await this.#findLock(door, readers);
    const first = this.#draft.doors.length === 0;
    const id = this.#draft.freeId("outputs", first ? "lock" : `${door.id}-lock`);
    this.#draft.addOutput(id, place);
    this.#draft.addDoor(door, id);
    this.#ask.say(text(`已添加锁 ${id} → 门 ${door.id}`, `Added lock ${id} for door ${door.id}`));
  }

  async #findLock(
    door: DraftDoor,
    readers: readonly SeenReader[],
  ): Promise<OutputPlace> {
    for (;;) {
      const relays = readers.filter((reader) => this.#draft.knownReader(reader.place) !== undefined)
        .flatMap(({ place, output }) =>
          [0, 1].map((index) => ({
            place: { on: "reader", reader: place, index } as const,
            output: () => output(index),
          }))
        ).filter(({ place }) => this.#draft.knownOutput(place) === undefined);
      const choice = await this.#ask.choose(
        text(`门 ${door.id} 的锁接在哪里？`, `What drives the lock of door ${door.id}?`),
        [
          ...relays.map(({ place }) => pointWhere(place, "relay")),
          text("一根 GPIO 线（继电器板）", "a GPIO line (a relay board)"),
        ],
      );
      const relay = relays[choice];
      const place = relay === undefined ? await this.#askLine() : relay.place;
      if (await this.#tryLock(place, relay?.output)) return place;
    }
  }

  async #askLine(): Promise<OutputPlace> {
    const chips = (await this.#hosts.inventory.list(this.#signal))
      .filter((device) => device.kind === "gpio-chip");
    const chip = await this.#ask.line(
      text("GPIO 芯片", "GPIO chip"),
      chips[0]?.stable ?? "gpiochip0",
    );
    const line = await this.#ask.number(text("线号", "Line"), 17, 1_023);
    const activeLow = await this.#ask.yes(
      text(
        "继电器板是低电平触发吗？（多数光耦继电器板是）",
        "Does the relay board switch on a low level? (Most boards with optocouplers do)",
      ),
      false,
    );
    return { on: "gpio", chip, line, activeLow };
  }

  /** Drives it once, if the installer wants; true when this is the lock. */
  async #tryLock(place: OutputPlace, output: (() => OutputLine) | undefined): Promise<boolean> {
    const { clock, gpio } = this.#hosts.device;
    const where = pointWhere(place, "relay");
    const sure = await this.#ask.typedYes(text(
      `现在驱动 ${where.zh} 2 秒？锁会动作，请看好门。输入 y 回车；直接回车则不试`,
      `Drive ${where.en} for 2 s now? The lock will move: mind the door. Type y and Enter; Enter alone does not try it`,
    ));
    if (!sure) {
      return await this.#ask.yes(text("不试就采用它吗？", "Take it without trying?"), false);
    }
    try {
      if (output !== undefined) await clickRelay(output(), clock, this.#signal);
      else if (place.on === "gpio") await clickLine(gpio, place, clock, this.#signal);
    } catch (error) {
      if (!(error instanceof HalError)) throw error;
      this.#ask.say(text(`没有成功：${error.message}`, `That failed: ${error.message}`));
      return false;
    }
    return await this.#ask.yes(text("锁动作了吗（听到咔嗒声）？", "Did the lock click?"), true);
  }
}
