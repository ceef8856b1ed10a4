/** A piece of a sentence; `strong` pieces are what it is about. */
export interface Part {
  readonly text: string;
  readonly strong: boolean;
}

/** A sentence with its names marked. */
export type Sentence = readonly Part[];

/** Template tag: what is filled in is marked strong. */
export function say(strings: TemplateStringsArray, ...values: readonly string[]): Sentence {
  const parts: Part[] = [];
  strings.forEach((text, index) => {
    if (text !== "") parts.push({ text, strong: false });
    const value = values[index];
    if (value !== undefined && value !== "") parts.push({ text: value, strong: true });
  });
  return parts;
}

/** A sentence as plain text, for search and the screen reader. */
export function textOf(sentence: Sentence): string {
  return sentence.map((part) => part.text).join("");
}
