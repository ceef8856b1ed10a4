/**
 * What stands beside each driver for this suite: `testdata/example.json`, and any number of
 * `example-NAME.json`, each with a trace of the same name.
 *
 * @module
 */
import * as v from "valibot";

const times = v.pipe(v.number(), v.minValue(0), v.maxValue(3_600_000));

const ActSchema = v.strictObject({
  /** Done each time this is reported … */
  when: v.optional(v.string()),
  /** … or so long after the start. */
  afterMs: v.optional(times),
  /** Which of several devices, from 0. */
  device: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), 0),
  /**
   * - of a reader: `show FEEDBACK`, `set OUTPUT true|false [REVERT_MS]`
   * - of an output: `set true|false [REVERT_MS]`
   * - of an expander: `write LINE true|false`
   */
  do: v.pipe(v.array(v.string()), v.minLength(1)),
});

const LineSchema = v.union([
  v.strictObject({ gpio: v.record(v.string(), v.unknown()) }),
  v.strictObject({ analog: v.record(v.string(), v.unknown()) }),
]);

const ExampleSchema = v.strictObject({
  /** As in `box.yaml`; a list where several devices share the line. */
  options: v.union([v.array(v.record(v.string(), v.unknown())), v.record(v.string(), v.unknown())]),
  /** What the driver must report while the trace is played, in order: `watch.ts` has the forms. */
  reports: v.pipe(v.array(v.string()), v.minLength(1)),
  /** What the box does meanwhile. */
  acts: v.optional(v.array(ActSchema), []),
  /** Lines of an expander that are requested once it is online. */
  lines: v.optional(v.array(LineSchema), []),
  /** How long a driver may think after the last step before its report is due. */
  settleMs: v.optional(times, 200),
  /** How long a driver may take to be well again after a pull or garbage. */
  recoverMs: v.optional(times, 60_000),
  /** Beginnings of reports that show that it is well again, each once; default: what it measured or read. */
  recovers: v.optional(v.array(v.string())),
  /** Wall time at the start, in ms since 1970, for devices with a clock. */
  wallMs: v.optional(v.number()),
  /**
   * `playback` for further examples that are only played exactly: a device whose answers depend on
   * more than the bytes asked, such as a running number, cannot be pulled and go on by a trace.
   */
  only: v.optional(v.literal("playback")),
  /** Whether it holds for steps that come byte by byte too; `false` only with a reason in the page. */
  slow: v.optional(v.boolean(), true),
});

/** One example, with its trace. */
export interface Example extends Omit<v.InferOutput<typeof ExampleSchema>, "options"> {
  readonly name: string;
  /** Of each device. */
  readonly options: readonly unknown[];
  /** Text of the trace. */
  readonly trace: string;
}

/** One thing that the box does while an example is played. */
export type Act = v.InferOutput<typeof ActSchema>;
/** One line that is requested from an expander. */
export type ExampleLine = v.InferOutput<typeof LineSchema>;

/** Makes an example of its parts. @throws a `ValiError` naming the field. */
export function parseExample(name: string, raw: unknown, trace: string): Example {
  const { options, ...rest } = v.parse(ExampleSchema, raw);
  return { ...rest, name, options: Array.isArray(options) ? options : [options], trace };
}

/** The examples beside a driver. @throws Error that tells its author what to add. */
export function examplesOf(kind: string, id: string): Example[] {
  const folder = `drivers/${kind}/${id}/testdata`;
  const url = new URL(`../../${folder}/`, import.meta.url);
  let names: string[] = [];
  try {
    names = Array.from(Deno.readDirSync(url), (entry) => entry.name)
      .filter((name) => /^example(-[a-z0-9-]+)?\.json$/.test(name)).sort();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  if (!names.includes("example.json")) {
    throw new Error(
      `${kind}/${id} has no example: record a device (recordSerial in hal/sim/serial_trace.ts, or by ` +
        `hand in the form of hal/sim/device_trace.ts) into ${folder}/example.trace, and write its ` +
        `options and what the driver must report into ${folder}/example.json; drivers/input/gpio has a ` +
        `short one, tests/contract/example.ts every field`,
    );
  }
  return names.map((name) => {
    const trace = name.replace(".json", ".trace");
    try {
      return parseExample(
        name,
        JSON.parse(Deno.readTextFileSync(new URL(name, url))),
        Deno.readTextFileSync(new URL(trace, url)),
      );
    } catch (cause) {
      throw new Error(`${folder}/${name}: ${(cause as Error).message}`, { cause });
    }
  });
}
