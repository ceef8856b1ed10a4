/**
 * Draws the diagrams of the wiring guide into `docs/installer/images`:
 * `deno run --allow-write=docs --allow-read=docs tools/wiring/main.ts`. A test keeps them current.
 *
 * @module
 */
import type { Language } from "./draw.ts";
import { DIAGRAMS } from "./diagrams.ts";

const LANGUAGES: readonly Language[] = ["zh", "en"];

/** Each file's name with its content. */
export function drawings(): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(DIAGRAMS).flatMap(([name, draw]) =>
      LANGUAGES.map((language) => [`${name}.${language}.svg`, draw(language).toString()] as const)
    ),
  );
}

/** Where they are kept. */
export const FOLDER: URL = new URL("../../docs/installer/images/", import.meta.url);

if (import.meta.main) {
  for (const [name, svg] of drawings()) Deno.writeTextFileSync(new URL(name, FOLDER), svg);
}
