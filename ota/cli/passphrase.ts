import { UsageError } from "../../cli/args.ts";

/** A passphrase is a line, not a book. */
const CHARS_MAX = 1_024;

/**
 * The passphrase of a key: the first line of `file`, or what a person types, which is not shown.
 *
 * @throws {@link UsageError} when there is neither a file nor a terminal.
 */
export async function passphrase(what: string, file: string | undefined): Promise<string> {
  if (file !== undefined) {
    const [line = ""] = (await Deno.readTextFile(file)).split(/\r?\n/);
    return line.slice(0, CHARS_MAX);
  }
  if (!Deno.stdin.isTerminal()) {
    throw new UsageError(`${what} wants a passphrase: use a terminal, or --passphrase-file`);
  }
  await write(`Passphrase of ${what}: `);
  Deno.stdin.setRaw(true);
  const decoder = new TextDecoder();
  const bytes = new Uint8Array(256);
  let typed = "";
  try {
    for (;;) {
      const count = await Deno.stdin.read(bytes);
      if (count === null) break;
      for (const key of decoder.decode(bytes.subarray(0, count), { stream: true })) {
        if (key === "\r" || key === "\n") return typed;
        if (key === "\x03") throw new UsageError("stopped");
        if (key === "\x7f" || key === "\b") typed = typed.slice(0, -1);
        else if (typed.length < CHARS_MAX) typed += key;
      }
    }
  } finally {
    Deno.stdin.setRaw(false);
    await write("\n");
  }
  return typed;
}

async function write(text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += await Deno.stderr.write(bytes.subarray(at));
}
