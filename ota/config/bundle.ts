/**
 * A bundle of configurations: a line for each box, `{"box": ID, "yaml": TEXT}`, so that it is read and
 * written a line at a time.
 *
 * @module
 */
import * as v from "valibot";

/** A box.yaml of the largest box has some kilobytes. */
export const CONFIG_BYTES_MAX: number = 256 << 10;
/** A line with a configuration whose every character is escaped. */
const LINE_CHARS_MAX = 6 * CONFIG_BYTES_MAX + 1_000;

const LineSchema = v.strictObject({
  box: v.pipe(v.string(), v.regex(/^[A-Za-z0-9._-]{1,64}$/, "expected the id of a box")),
  yaml: v.pipe(v.string(), v.maxLength(CONFIG_BYTES_MAX)),
});

/** A line of a bundle. @throws a `ValiError` naming what is wrong. */
export function bundleLine(box: string, yaml: string): string {
  return JSON.stringify(v.parse(LineSchema, { box, yaml })) + "\n";
}

/** The configuration of `box`, if the bundle has one. @throws an `Error` when it is no bundle. */
export async function findInBundle(
  file: ReadableStream<Uint8Array>,
  box: string,
): Promise<string | undefined> {
  let rest = "";
  for await (const text of file.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const found = v.parse(LineSchema, JSON.parse(line));
      if (found.box === box) return found.yaml;
    }
    if (rest.length > LINE_CHARS_MAX) throw new Error("a line of the bundle is too long");
  }
  if (rest !== "") throw new Error("the bundle ends in the middle of a line");
  return undefined;
}
