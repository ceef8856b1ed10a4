/**
 * Questions in plain lines, in the installer's language. Anything that shows lines and takes lines
 * will do: a terminal, a serial console, a test.
 *
 * @module
 */
import { type Language, type Text, text } from "../language.ts";

/** Where questions are asked. */
export interface Terminal {
  readonly language: Language;
  /** Shows one line. */
  say(line: string): void;
  /** Shows a prompt with no line feed after it. */
  prompt(prompt: string): void;
  /** Resolves when a line can be taken, or the input has ended. @throws the signal's reason. */
  ready(signal: AbortSignal): Promise<void>;
  /** Takes the next line, without its end; `undefined` when there is none or the input has ended. */
  line(): string | undefined;
}

/** The input ended before the conversation did. */
export class InputEnded extends Error {
  /** Nothing was written. */
  constructor() {
    super("the input ended before everything was answered; nothing was written");
    this.name = "InputEnded";
  }
}

/** As ids in `box.yaml` are. */
const ID = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const LINE_MAX = 1_023;

/** Asks until an answer makes sense. Each throws {@link InputEnded} or the signal's reason. */
export class Questions {
  readonly #terminal: Terminal;
  readonly #signal: AbortSignal;

  /** All that is asked ends with `signal`. */
  constructor(terminal: Terminal, signal: AbortSignal) {
    this.#terminal = terminal;
    this.#signal = signal;
  }

  /** Says something. */
  say(what: Text): void {
    this.#terminal.say(what[this.#terminal.language]);
  }

  /** Any line; Enter alone is `suggestion`. */
  async line(question: Text, suggestion: string): Promise<string> {
    this.#terminal.prompt(`${question[this.#terminal.language]} [${suggestion}]: `);
    return await this.#next() || suggestion;
  }

  /** An id that is not among `taken`. */
  async id(question: Text, suggestion: string, taken: readonly string[] = []): Promise<string> {
    for (;;) {
      const id = await this.line(question, suggestion);
      if (!ID.test(id)) {
        this.say(text(
          "只能用小写字母、数字和 . _ -，最长 64 个字符",
          "Use a-z 0-9 . _ - only, at most 64 characters",
        ));
      } else if (taken.includes(id)) {
        this.say(text(`${id} 已被使用`, `${id} is taken`));
      } else return id;
    }
  }

  /** An id that `free` gives back unchanged, that is: one that is not taken. */
  async freeId(question: Text, free: (id: string) => string, suggestion: string): Promise<string> {
    for (;;) {
      const id = await this.id(question, free(suggestion));
      if (free(id) === id) return id;
      this.say(text(`${id} 已被使用`, `${id} is taken`));
    }
  }

  /** A whole number from 0 to `max`; for a suggestion above 0, from 1. */
  async number(question: Text, suggestion: number, max: number): Promise<number> {
    for (;;) {
      const answer = await this.line(question, String(suggestion));
      const number = /^\d{1,6}$/.test(answer) ? Number(answer) : NaN;
      if (number >= 0 && number <= max) return number;
      this.say(text(`请输入 0 到 ${max}`, `A number from 0 to ${max}`));
    }
  }

  /** Yes or no; Enter alone is `suggestion`. */
  async yes(question: Text, suggestion: boolean): Promise<boolean> {
    for (;;) {
      const answer = await this.line(question, suggestion ? "Y/n" : "y/N");
      if (answer === "Y/n" || answer === "y/N") return suggestion;
      if (/^(y|yes|是)$/i.test(answer)) return true;
      if (/^(n|no|否)$/i.test(answer)) return false;
      this.say(text("请输入 y 或 n", "Type y or n"));
    }
  }

  /** Whether a y was typed; nothing else is one. */
  async typedYes(question: Text): Promise<boolean> {
    this.#terminal.prompt(`${question[this.#terminal.language]}: `);
    return /^y$/i.test(await this.#next());
  }

  /** The index of one of `choices`; Enter alone is the first. */
  async choose(question: Text, choices: readonly Text[]): Promise<number> {
    this.say(question);
    for (const [index, choice] of choices.entries()) {
      this.#terminal.say(`  ${index + 1}) ${choice[this.#terminal.language]}`);
    }
    for (;;) {
      const answer = await this.line(text("选择", "Choice"), "1");
      const index = /^\d{1,3}$/.test(answer) ? Number(answer) - 1 : -1;
      if (index >= 0 && index < choices.length) return index;
      this.say(text(`请输入 1 到 ${choices.length}`, `A number from 1 to ${choices.length}`));
    }
  }

  /** Line numbers such as `4-13,17`; 0 alone is none. */
  async lines(question: Text, suggestion: readonly number[]): Promise<readonly number[]> {
    for (;;) {
      const answer = await this.line(question, ranges(suggestion) || "0");
      if (answer === "0") return [];
      const lines = parseLines(answer);
      if (lines !== undefined) return lines;
      this.say(text("写法如 4-13,17", "Write such as 4-13,17"));
    }
  }

  /** Waits for `other` or a line. The line, if there is one; `undefined` when it was `other`. */
  async orLine(other: (signal: AbortSignal) => Promise<void>): Promise<string | undefined> {
    const first = new AbortController();
    const signal = AbortSignal.any([first.signal, this.#signal]);
    const line = this.#terminal.ready(signal).then(() => true);
    const waits = [other(signal).then(() => false), line];
    // The slower one ends with the abort.
    for (const one of waits) one.catch(() => {});
    try {
      return await Promise.race(waits) ? this.#take() : undefined;
    } finally {
      first.abort();
    }
  }

  async #next(): Promise<string> {
    await this.#terminal.ready(this.#signal);
    return this.#take();
  }

  #take(): string {
    const line = this.#terminal.line();
    if (line === undefined) throw new InputEnded();
    return line.trim();
  }
}

function parseLines(answer: string): number[] | undefined {
  const lines = new Set<number>();
  for (const part of answer.split(",")) {
    const range = /^\s*(\d{1,4})(?:-(\d{1,4}))?\s*$/.exec(part);
    if (range === null) return undefined;
    const [from, to] = [Number(range[1]), Number(range[2] ?? range[1])];
    if (from > to || to > LINE_MAX) return undefined;
    for (let line = from; line <= to; line++) lines.add(line);
  }
  return [...lines].sort((a, b) => a - b);
}

function ranges(lines: readonly number[]): string {
  const parts: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const from = lines[at]!;
    while (lines[at + 1] === lines[at]! + 1) at++;
    parts.push(lines[at] === from ? `${from}` : `${from}-${lines[at]}`);
  }
  return parts.join(",");
}
