/**
 * A `box.yaml` in the making: what is added stands in the text that was there, with its comments.
 *
 * @module
 */
import { Document, isMap, isScalar, isSeq, parseDocument, Scalar, type YAMLMap } from "yaml";
import {
  type InputPlace,
  type OutputPlace,
  type PlainOptions,
  pointKey,
  readerKey,
  type ReaderPlace,
} from "./sighting.ts";

/** The lists of `box.yaml` that are added to. */
export type DraftList = "buses" | "readers" | "outputs" | "inputs" | "doors" | "release";

/** How a door is locked. */
export type DoorKind = "strike" | "magnet" | "turnstile";

/** A door as far as it is known. */
export interface DraftDoor {
  readonly id: string;
  readonly kind: DoorKind;
}

const HEADER = " Written by gatehouse learn; comments and order are kept when it runs again.";

const ORDER: readonly string[] = [
  "box",
  "buses",
  "readers",
  "outputs",
  "inputs",
  "doors",
  "release",
];

/** A part with a path of /dev/serial/by-id still stands in one line. */
const LINE_COLUMNS = 160;

/** Edits one document. */
export class ConfigDraft {
  readonly #document: Document;
  readonly #fresh: boolean;
  /** Ids of readers, inputs and outputs by their place. */
  readonly #known = new Map<string, string>();

  private constructor(document: Document, fresh: boolean) {
    this.#document = document;
    this.#fresh = fresh;
  }

  /**
   * A draft of `existing`, or of nothing.
   *
   * @throws SyntaxError when it is no YAML, or no mapping.
   */
  static of(existing: string | undefined): ConfigDraft {
    if (existing === undefined || existing.trim() === "") {
      const document = new Document({});
      document.commentBefore = HEADER;
      return new ConfigDraft(document, true);
    }
    const document = parseDocument(existing);
    const [error] = document.errors;
    if (error !== undefined) throw new SyntaxError(error.message);
    if (!isMap(document.contents)) throw new SyntaxError("expected a mapping");
    const draft = new ConfigDraft(document, false);
    draft.#recognise();
    return draft;
  }

  /** The text as it stands now. */
  toString(): string {
    const { contents } = this.#document;
    // A new file reads from the wires to the doors; an old one keeps its own order.
    if (this.#fresh && isMap(contents)) {
      const rank = (key: unknown) => ORDER.indexOf(String(isScalar(key) ? key.value : key));
      contents.items.sort((a, b) => rank(a.key) - rank(b.key));
    }
    return this.#document.toString({ lineWidth: LINE_COLUMNS, flowCollectionPadding: true });
  }

  /** Whether `box` is there: its name and time zone. */
  get named(): boolean {
    return this.#document.hasIn(["box", "name"]);
  }

  /** Names the box. */
  name(name: string, timezone: string): void {
    this.#document.set("box", this.#flow({ name, timezone }));
  }

  /** Ids of all doors. */
  get doors(): readonly string[] {
    return this.#ids("doors");
  }

  /** The id of the reader that is at this place already. */
  knownReader(place: ReaderPlace): string | undefined {
    return this.#known.get(readerKey(place));
  }

  /** The same for an input. */
  knownInput(place: InputPlace): string | undefined {
    return this.#known.get(pointKey(place, "input"));
  }

  /** The same for an output. */
  knownOutput(place: OutputPlace): string | undefined {
    return this.#known.get(pointKey(place, "output"));
  }

  /** An id like `wanted` that is not taken: `in`, `in2`, … */
  freeId(list: DraftList, wanted: string): string {
    const taken = new Set(this.#ids(list));
    // `box.yaml` takes 64 of each.
    for (let count = 1; count <= 100; count++) {
      const id = count === 1 ? wanted : `${wanted}${count}`;
      if (!taken.has(id)) return id;
    }
    throw new RangeError(`too many ${list}`);
  }

  /** Adds a reader, and the bus that it is on unless that is there. */
  addReader(id: string, place: ReaderPlace, door: string): void {
    const bus = place.on === "bus" ? { bus: this.#bus(place) } : {};
    this.#add("readers", { id, driver: place.driver, ...bus, ...place.options, door });
    this.#known.set(readerKey(place), id);
  }

  /** Adds an input. @throws RangeError when its reader was not added. */
  addInput(id: string, place: InputPlace): void {
    this.#add(
      "inputs",
      place.on === "reader" ? { id, ...this.#onReader(place) } : {
        id,
        driver: "gpio",
        chip: place.chip,
        line: place.line,
        bias: "pull-up",
        ...(place.activeLow ? { activeLow: true } : {}),
      },
    );
    this.#known.set(pointKey(place, "input"), id);
  }

  /** Adds an output. @throws RangeError when its reader was not added. */
  addOutput(id: string, place: OutputPlace): void {
    this.#add(
      "outputs",
      place.on === "reader" ? { id, ...this.#onReader(place) } : {
        id,
        driver: "gpio",
        chip: place.chip,
        line: place.line,
        ...(place.activeLow ? { activeLow: true } : {}),
        safe: "released",
      },
    );
    this.#known.set(pointKey(place, "output"), id);
  }

  /** Adds a door with its lock. */
  addDoor(door: DraftDoor, lock: string): void {
    this.#add("doors", { id: door.id, lock, kind: door.kind });
  }

  /** Joins a door with an input. */
  joinDoor(id: string, role: "contact" | "requestToExit", input: string): void {
    const doors = this.#document.get("doors");
    if (!isSeq(doors)) return;
    const door = doors.items.find((item) => isMap(item) && item.get("id") === id) as
      | YAMLMap
      | undefined;
    door?.set(role, input);
  }

  /** While this input is active every door is free. */
  addRelease(input: string): void {
    this.#add("release", { input });
  }

  /** Finds the places of what stands there, so that it is not offered again. */
  #recognise(): void {
    const read = this.#document.toJS({ maxAliasCount: 100 }) as Record<string, unknown>;
    const items = (list: string) =>
      (Array.isArray(read[list]) ? read[list] : []).filter((item): item is PlainOptions & {
        readonly id: string;
      } => typeof item === "object" && item !== null && typeof item.id === "string");
    const paths = new Map(items("buses").map((bus) => [bus.id, bus]));
    for (const item of items("readers")) {
      const { id, driver, bus, door: _door, patrol: _patrol, ...options } = item;
      if (typeof driver !== "string") continue;
      const line = paths.get(String(bus));
      // A key or a poll time does not make it another reader.
      const { address } = options;
      this.#known.set(
        readerKey(
          line === undefined ? { on: "own", driver, options: identifying(options) } : {
            on: "bus",
            path: String(line.path),
            baudRate: 0,
            driver,
            options: address === undefined ? {} : { address },
          },
        ),
        id,
      );
    }
    const readers = new Map([...this.#known].map(([key, id]) => [id, key]));
    for (const what of ["input", "output"] as const) {
      for (const { id, reader, index, chip, line } of items(`${what}s`)) {
        const key = reader === undefined
          ? `${chip} ${line}`
          : `${readers.get(String(reader)) ?? reader} ${what} ${index}`;
        this.#known.set(key, id);
      }
    }
  }

  #onReader(place: { readonly reader: ReaderPlace; readonly index: number }): PlainOptions {
    const reader = this.#known.get(readerKey(place.reader));
    if (reader === undefined) throw new RangeError("add the reader first, then what is on it");
    return { driver: place.reader.driver, reader, index: place.index };
  }

  #bus(place: Extract<ReaderPlace, { on: "bus" }>): string {
    const buses = this.#document.get("buses");
    if (isSeq(buses)) {
      for (const bus of buses.items) {
        if (isMap(bus) && bus.get("path") === place.path) return String(bus.get("id"));
      }
    }
    const id = this.freeId("buses", "line");
    this.#add("buses", {
      id,
      kind: "serial",
      path: place.path,
      baudRate: place.baudRate,
      ...(place.parity === undefined || place.parity === "none" ? {} : { parity: place.parity }),
    });
    return id;
  }

  #ids(list: DraftList): string[] {
    const items = this.#document.get(list);
    if (!isSeq(items)) return [];
    return items.items.flatMap((item) => isMap(item) ? [String(item.get("id"))] : []);
  }

  #add(list: DraftList, item: PlainOptions): void {
    if (!isSeq(this.#document.get(list))) this.#document.set(list, this.#document.createNode([]));
    const items = this.#document.get(list);
    if (isSeq(items)) {
      // A list that was written `[]` would go on in one endless line.
      items.flow = false;
      items.add(this.#flow(item));
    }
  }

  /** One line, as the examples have it; USB ids in hex, as `lsusb` shows them. */
  #flow(item: PlainOptions): YAMLMap {
    const node = this.#document.createNode(item, { flow: true }) as YAMLMap;
    for (const pair of node.items) {
      const name = isScalar(pair.key) ? pair.key.value : undefined;
      if ((name === "vendorId" || name === "productId") && pair.value instanceof Scalar) {
        pair.value.format = "HEX";
      }
    }
    return node;
  }
}

/** The options that say where a reader of its own is. */
function identifying(options: PlainOptions): PlainOptions {
  const names = ["chip", "data0", "data1", "vendorId", "productId", "serialNumber", "bus"];
  return Object.fromEntries(Object.entries(options).filter(([name]) => names.includes(name)));
}
