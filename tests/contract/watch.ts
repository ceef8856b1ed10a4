/**
 * What drivers report, as lines of text, and what the box does to them.
 *
 * | kind | reports |
 * | --- | --- |
 * | card-reader | `online [SERIAL]`, `card BITS HEX`, `keys 42#`, `tamper true`, `power failed`, `power good`, `offline REASON` |
 * | input | `active true`, `active false`, `unknown`, `unknown FAULT`; the first tells how it was found |
 * | output | `driven true`, `driven false` |
 * | sensor | `reading 21.5 Cel`, `reading unknown` |
 * | expander | `online`, `offline`, `line 3 true`, `analog 0 0.512`, `analog 0 gone` |
 * | patrol-baton | `attached`, `detached`, `emptied`, `read BATON RECORD TAG 2026-09-01T07:00:00.000Z` |
 *
 * With several devices on a line each report begins with the device's place, from 0: `1: online`.
 *
 * @module
 */
import type {
  CardReader,
  Expander,
  InputLine,
  OutputLine,
  PatrolBaton,
  ReaderEvent,
  ReaderFeedback,
  Sensor,
} from "../../drivers/contract.ts";
import type { AnalogSettings, GpioLine, GpioSettings } from "../../hal/mod.ts";
import type { ExampleLine } from "./example.ts";

/** Takes one report. */
export type Report = (line: string) => void;
/** Does one thing of an example's `do`. */
export type Doing = (words: readonly string[]) => void;
/** Ends with whatever the example requested. */
export interface Watched {
  readonly do: Doing;
  /** Requests an expander's lines; others have none. */
  readonly requestLines?: (lines: readonly ExampleLine[], signal: AbortSignal) => Promise<void>;
  readonly close?: () => Promise<void>;
}

/** A reader's event as a report. */
export function textOf(event: ReaderEvent): string {
  switch (event.kind) {
    case "card":
      return `card ${event.bits} ${event.data.toHex()}`;
    case "keys":
      return `keys ${event.keys}`;
    case "online":
      return ["online", event.identity?.serial].filter(Boolean).join(" ");
    case "offline":
      return `offline ${event.reason}`;
    case "tamper":
      return `tamper ${event.active}`;
    case "power":
      return `power ${event.failed ? "failed" : "good"}`;
    default:
      return event satisfies never;
  }
}

const noSuch = (words: readonly string[]) => new Error(`an example cannot do: ${words.join(" ")}`);

function setOutput(output: OutputLine, [active, ms]: readonly string[]): void {
  output.set(active === "true", ms === undefined ? {} : { revertAfterMs: Number(ms) });
}

/** Follows a reader. */
export function watchReader(reader: CardReader, report: Report): Watched {
  reader.onEvent((event) => report(textOf(event)));
  if (reader.online()) report("online");
  return {
    do: (words) => {
      const [verb, ...rest] = words;
      if (verb === "show") reader.show(rest[0] as ReaderFeedback);
      else if (verb === "set") setOutput(reader.output(Number(rest[0])), rest.slice(1));
      else throw noSuch(words);
    },
  };
}

/** Follows an output. */
export function watchOutput(output: OutputLine, report: Report): Watched {
  output.onDriven((active) => report(`driven ${active}`));
  return {
    do: (words) => {
      if (words[0] !== "set") throw noSuch(words);
      setOutput(output, words.slice(1));
    },
  };
}

/** Follows an input. */
export function watchInput(input: InputLine, report: Report): Watched {
  const tell = () => {
    const active = input.active();
    const fault = input.fault();
    report(
      active === undefined ? ["unknown", fault].filter(Boolean).join(" ") : `active ${active}`,
    );
  };
  input.onChange(tell);
  tell();
  return {
    do: (words) => {
      throw noSuch(words);
    },
  };
}

/** Follows a sensor. Values to six digits, as no sensor has more. */
export function watchSensor(sensor: Sensor, report: Report): Watched {
  const tell = (value: number | undefined) =>
    report(
      `reading ${value === undefined ? "unknown" : `${+value.toPrecision(6)} ${sensor.unit}`}`,
    );
  sensor.onReading(tell);
  if (sensor.value() !== undefined) tell(sensor.value());
  return {
    do: (words) => {
      throw noSuch(words);
    },
  };
}

/** Follows an expander and the lines that are requested. */
export function watchExpander(expander: Expander, report: Report): Watched {
  expander.onOnline((online) => report(online ? "online" : "offline"));
  if (expander.online()) report("online");
  const lines = new Map<number, GpioLine>();
  const opened: AsyncDisposable[] = [];
  const end = new AbortController();
  const following: Promise<void>[] = [];
  const follow = async (line: GpioLine) => {
    const number = line.settings.line;
    try {
      report(`line ${number} ${line.read()}`);
    } catch {
      // The board has not told it yet: its first edge does.
    }
    try {
      for await (const edge of line.edges(end.signal)) report(`line ${number} ${edge.active}`);
    } catch {
      report(`line ${number} gone`);
    }
  };
  return {
    requestLines: async (wanted, signal) => {
      for (const one of wanted) {
        if ("gpio" in one) {
          const settings = { chip: "", ...one.gpio } as unknown as GpioSettings;
          const line = await expander.gpio.request(settings, signal);
          opened.push(line);
          lines.set(settings.line, line);
          if (settings.direction === "input") following.push(follow(line));
        } else {
          const settings = { chip: "", ...one.analog } as unknown as AnalogSettings;
          const line = await expander.analog.request(settings, signal);
          opened.push(line);
          const tell = (ratio: number | undefined) =>
            report(
              `analog ${settings.channel} ${ratio === undefined ? "gone" : +ratio.toPrecision(6)}`,
            );
          line.onSample(tell);
          if (line.read() !== undefined) tell(line.read());
        }
      }
    },
    do: (words) => {
      const line = lines.get(Number(words[1]));
      if (words[0] !== "write" || line === undefined) throw noSuch(words);
      line.write(words[2] === "true");
    },
    close: async () => {
      end.abort();
      await Promise.all(following);
      for (const line of opened) await line[Symbol.asyncDispose]();
    },
  };
}

/** Follows a baton's cradle; what it reads counts as stored at once. */
export function watchBaton(baton: PatrolBaton, report: Report): Watched {
  baton.onState(report);
  baton.onReads(({ baton: serial, reads }) => {
    for (const { record, tag, atWallMs } of reads) {
      report(`read ${serial} ${record} ${tag} ${new Date(atWallMs).toISOString()}`);
    }
    return Promise.resolve();
  });
  if (baton.online()) report("attached");
  return {
    do: (words) => {
      throw noSuch(words);
    },
  };
}
