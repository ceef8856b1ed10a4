/**
 * Answers the host: one JSON line a call on the port `HIL_PORT`, `{id, call, args}`, and one back.
 *
 * @module
 */
import { procedures } from "./procedures.ts";

interface Call {
  readonly id: number;
  readonly call: string;
  readonly args: readonly unknown[];
}

async function answer({ id, call, args }: Call): Promise<string> {
  try {
    const procedure =
      (procedures as Readonly<Record<string, (...args: unknown[]) => unknown>>)[call];
    if (procedure === undefined) throw new Error(`there is no procedure ${call}`);
    return JSON.stringify({ id, result: await procedure(...args) ?? null });
  } catch (error) {
    return JSON.stringify({
      id,
      error: error instanceof Error ? error.stack ?? error.message : String(error),
    });
  }
}

const port = await Deno.open(Deno.env.get("HIL_PORT")!, { read: true, write: true });
const encoder = new TextEncoder();
const say = async (line: string) => {
  const bytes = encoder.encode(line + "\n");
  for (let at = 0; at < bytes.length;) at += await port.write(bytes.subarray(at));
};
await say(JSON.stringify({ id: 0, result: Deno.version.deno }));
const decoder = new TextDecoder();
const chunk = new Uint8Array(65_536);
let rest = "";
for (;;) {
  const count = await port.read(chunk);
  // Nothing to read means that the host has not come or is gone.
  if (count === null) break;
  const lines = (rest + decoder.decode(chunk.subarray(0, count), { stream: true })).split("\n");
  rest = lines.pop()!;
  for (const line of lines) await say(await answer(JSON.parse(line)));
}
