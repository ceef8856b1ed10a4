/**
 * The conversation with an installer: asks about what was seen, and writes it into a draft.
 *
 * @module
 */
import { type Text, text } from "../language.ts";
import type { ConfigDraft, DoorKind, DraftDoor } from "./draft.ts";
import { LockFinder } from "./locks.ts";
import { agreePlan } from "./plan.ts";
import { Queue } from "./queue.ts";
import { Questions, type Terminal } from "./questions.ts";
import {
  cardText,
  type InputPlace,
  pointWhere,
  readerKey,
  type ReaderPlace,
  readerWhere,
  type Sighting,
} from "./sighting.ts";
import { type LearnHosts, watchAll } from "./watch.ts";

/** What a conversation begins with. */
export interface LearnStart {
  /** Suggested where nothing is written yet. */
  readonly name: string;
  readonly timezone: string;
}

const DOORS_MAX = 16;
const DOOR_KINDS: readonly DoorKind[] = ["strike", "magnet", "turnstile"];

type SeenReader = Extract<Sighting, { kind: "reader" }>;

/**
 * Talks until the installer says that all is done, with everything added to `draft`. Nothing is
 * written here.
 *
 * @throws the signal's reason, or {@link import("./questions.ts").InputEnded}.
 */
export async function learn(
  draft: ConfigDraft,
  start: LearnStart,
  terminal: Terminal,
  hosts: LearnHosts,
  signal: AbortSignal,
): Promise<void> {
  await new Dialogue(draft, new Questions(terminal, signal), hosts, signal).run(start);
}

class Dialogue {
  readonly #draft: ConfigDraft;
  readonly #ask: Questions;
  readonly #hosts: LearnHosts;
  readonly #signal: AbortSignal;
  readonly #readers = new Map<string, SeenReader>();
  readonly #ignored = new Set<string>();
  /** Doors that still need a lock. */
  readonly #newDoors: DraftDoor[] = [];
  readonly #joins: { door: string; role: "contact" | "requestToExit"; input: string }[] = [];

  constructor(draft: ConfigDraft, ask: Questions, hosts: LearnHosts, signal: AbortSignal) {
    this.#draft = draft;
    this.#ask = ask;
    this.#hosts = hosts;
    this.#signal = signal;
  }

  async run(start: LearnStart): Promise<void> {
    const ask = this.#ask;
    ask.say(text(
      "学习这台主机的接线。[ ] 内是建议值，直接回车即采用；Ctrl-C 随时退出，不改动任何文件。",
      "Learning what this box is wired to. Enter takes the suggestion in [ ]; Ctrl-C leaves everything as it was.",
    ));
    if (!this.#draft.named) {
      const name = await ask.id(text("主机名称", "Name of this box"), start.name);
      const zone = await ask.line(text("时区", "Time zone"), start.timezone);
      this.#draft.name(name, zone);
    }
    if (this.#draft.doors.length === 0) await this.#askDoors();
    const plan = await agreePlan(ask, this.#hosts, this.#signal);
    const end = new AbortController();
    const seen = new Queue<Sighting>();
    const watching = watchAll(
      this.#hosts,
      plan,
      (sighting) => seen.push(sighting),
      AbortSignal.any([end.signal, this.#signal]),
    );
    // Awaited below; until then a rejection has nobody to hear it.
    watching.catch(() => {});
    try {
      ask.say(text(
        "开始监视。请依次：在每个读卡器刷一张卡；打开每扇门；按每个出门按钮；让消防盘动作。完成后输入 d 回车。",
        "Watching. Now present a card to each reader, open each door, press each exit button, and have the fire panel switch. When all is done type d and Enter.",
      ));
      await this.#watch(seen);
      await this.#readersWithoutCard();
      const locks = new LockFinder(this.#draft, ask, this.#hosts, this.#signal);
      for (const door of this.#newDoors.splice(0)) {
        await locks.find(door, [...this.#readers.values()]);
      }
    } finally {
      end.abort();
      await watching;
    }
    for (const { door, role, input } of this.#joins) this.#draft.joinDoor(door, role, input);
  }

  async #askDoors(): Promise<void> {
    const count = await this.#ask.number(
      text("这台主机管几扇门？", "How many doors does this box have?"),
      1,
      DOORS_MAX,
    );
    for (let index = 0; index < count; index++) {
      const suggestion = index === 0 ? "main" : `door${index + 1}`;
      const taken = this.#newDoors.map((door) => door.id);
      const id = await this.#ask.id(
        text(`第 ${index + 1} 扇门的名称`, `Id of door ${index + 1}`),
        suggestion,
        taken,
      );
      const kind = await this.#ask.choose(text("锁的类型", "Kind of lock"), [
        text("电插锁/电锁口：断电锁住", "strike: locked without current"),
        text("磁力锁：通电锁住，断电释放", "magnet: locked by current, free without"),
        text("闸机：每次脉冲放行一人", "turnstile: one pulse a passage"),
      ]);
      this.#newDoors.push({ id, kind: DOOR_KINDS[kind]! });
    }
  }

  /** Asks about each thing as it is seen, until `d`. */
  async #watch(seen: Queue<Sighting>): Promise<void> {
    for (;;) {
      const line = await this.#ask.orLine((signal) => seen.ready(signal));
      const sighting = line === undefined ? seen.shift() : undefined;
      if (sighting !== undefined) await this.#seen(sighting);
      if (line === undefined) continue;
      if (/^(d|done|完成)$/i.test(line)) return;
      this.#ask.say(text("输入 d 回车结束", "Type d and Enter when all is done"));
    }
  }

  async #seen(sighting: Sighting): Promise<void> {
    switch (sighting.kind) {
      case "note":
        this.#ask.say(sighting.note);
        break;
      case "reader":
        this.#readerSeen(sighting);
        break;
      case "card":
        await this.#cardSeen(sighting);
        break;
      case "input":
        await this.#inputSeen(sighting);
        break;
      default:
        sighting satisfies never;
    }
  }

  #readerSeen(sighting: SeenReader): void {
    const { place, identity, keyNeeded } = sighting;
    this.#readers.set(readerKey(place), sighting);
    const where = readerWhere(place);
    const known = this.#draft.knownReader(place);
    const who = identity === undefined
      ? ""
      : ` [${identity.vendor}/${identity.model} ${identity.firmware}]`;
    if (keyNeeded) {
      this.#ask.say(text(
        `${where.zh} 的读卡器${who} 要求密钥：恢复出厂设置后再学习，或手工写入 box.yaml`,
        `The reader at ${where.en}${who} wants a key: reset it to its factory state, or write it into box.yaml by hand`,
      ));
      return;
    }
    this.#ask.say(
      known === undefined
        ? text(
          `发现读卡器：${where.zh}${who}。请在它上面刷一张卡`,
          `Found a reader at ${where.en}${who}. Present a card to it`,
        )
        : text(`读卡器 ${known} 在线：${where.zh}`, `Reader ${known} answers at ${where.en}`),
    );
  }

  async #cardSeen({ places, bits, data }: Extract<Sighting, { kind: "card" }>): Promise<void> {
    const known = places.map((place) => this.#draft.knownReader(place)).find((id) =>
      id !== undefined
    );
    const card = cardText(bits, data);
    if (known !== undefined) {
      this.#ask.say(text(`${known}：${card.zh}`, `${known}: ${card.en}`));
      return;
    }
    let place = places[0]!;
    if (this.#ignored.has(readerKey(place))) return;
    const where = readerWhere(place);
    const question = text(
      `刚在 ${where.zh} 读到 ${card.zh}；添加这个读卡器吗？`,
      `${card.en[0]!.toUpperCase()}${
        card.en.slice(1)
      } was just seen at ${where.en}; add it as a reader?`,
    );
    if (!await this.#ask.yes(question, true)) {
      this.#ignored.add(readerKey(place));
      return;
    }
    if (places.length > 1) {
      const choice = await this.#ask.choose(
        text("它是哪一种？（看型号标签）", "Which of these is it? (See its label)"),
        places.map((one) => text(one.driver, one.driver)),
      );
      place = places[choice]!;
    }
    await this.#addReader(place);
  }

  async #addReader(place: ReaderPlace): Promise<void> {
    const suggestion = this.#draft.freeId("readers", "in");
    const id = await this.#ask.freeId(
      text("读卡器名称", "Id of this reader"),
      (wanted) => this.#draft.freeId("readers", wanted),
      suggestion === "in2" ? "out" : suggestion,
    );
    const door = await this.#whichDoor(text("它管哪扇门？", "Which door is it for?"));
    this.#draft.addReader(id, place, door);
    this.#ask.say(text(`已添加读卡器 ${id} → 门 ${door}`, `Added reader ${id} for door ${door}`));
  }

  async #inputSeen({ place, active }: Extract<Sighting, { kind: "input" }>): Promise<void> {
    const id = this.#draft.knownInput(place);
    if (id !== undefined) {
      this.#ask.say(
        active ? text(`${id}：触发`, `${id}: active`) : text(`${id}：静止`, `${id}: at rest`),
      );
      return;
    }
    const where = pointWhere(place, "input");
    if (!active || this.#ignored.has(where.en)) return;
    if (place.on === "reader" && this.#draft.knownReader(place.reader) === undefined) {
      this.#ask.say(text(
        `${where.zh} 刚触发；请先在那个读卡器刷卡，把它添加进来`,
        `${where.en} just went active; present a card to that reader first, so that it is added`,
      ));
      return;
    }
    const choice = await this.#ask.choose(
      text(`${where.zh} 刚触发，它是什么？`, `${where.en} just went active. What is it?`),
      [
        text("门磁：门打开", "door contact: the door was opened"),
        text("出门按钮", "exit button"),
        text("消防联动：触发时释放所有门", "fire release: frees every door while active"),
        text("其他输入", "some other input"),
        text("忽略", "nothing: ignore it"),
      ],
    );
    if (choice === 4) {
      this.#ignored.add(where.en);
      return;
    }
    await this.#addInput(place, choice);
  }

  async #addInput(place: InputPlace, choice: number): Promise<void> {
    const door = choice < 2
      ? await this.#whichDoor(text("属于哪扇门？", "Of which door?"))
      : undefined;
    const stem = ["contact", "exit", "fire", "input"][choice]!;
    const wanted = door === undefined || this.#doors.length === 1 ? stem : `${door}-${stem}`;
    const id = await this.#ask.freeId(
      text("输入名称", "Id of this input"),
      (name) => this.#draft.freeId("inputs", name),
      this.#draft.freeId("inputs", wanted),
    );
    this.#draft.addInput(id, place);
    if (choice === 2) this.#draft.addRelease(id);
    if (door !== undefined) {
      this.#joins.push({ door, role: choice === 0 ? "contact" : "requestToExit", input: id });
    }
    this.#ask.say(text(`已添加输入 ${id}`, `Added input ${id}`));
  }

  get #doors(): readonly string[] {
    return [...this.#draft.doors, ...this.#newDoors.map((door) => door.id)];
  }

  async #whichDoor(question: Text): Promise<string> {
    const doors = this.#doors;
    if (doors.length === 1) return doors[0]!;
    return doors[await this.#ask.choose(question, doors.map((id) => text(id, id)))]!;
  }

  /** Readers that answered and were never read from. */
  async #readersWithoutCard(): Promise<void> {
    for (const [key, { place, keyNeeded }] of this.#readers) {
      if (keyNeeded || this.#draft.knownReader(place) !== undefined || this.#ignored.has(key)) {
        continue;
      }
      const where = readerWhere(place);
      const question = text(
        `${where.zh} 的读卡器没有刷过卡；仍要添加吗？`,
        `No card was presented to the reader at ${where.en}; add it all the same?`,
      );
      if (await this.#ask.yes(question, false)) await this.#addReader(place);
    }
  }
}
