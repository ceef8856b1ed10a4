import { dirname, join } from "node:path";
import { writeFileDurably } from "../../hal/mod.ts";
import {
  parseSetup,
  renderSetup,
  type Setup,
  SETUP_BYTES,
  SetupError,
  setupFiles,
} from "../setup/mod.ts";
import { EXIT, readArgs, UsageError } from "./usage.ts";

const HELP = `
gatehouse setup --out DIR --config FILE SETUP.yaml
gatehouse setup --forget-token SETUP.yaml

Applies what an installer wrote onto the card (gatehouse flash): the system of a card image runs it at
each start. Writes the network, the box's name and its enrolment below DIR, which is /run there.

  --out DIR       where the parts of the system look
  --config FILE   the box.yaml, written when there is none and the settings have one
  --forget-token  takes the token out of the settings, in place: it is of no more use

Exit codes: 0 done, or there are no settings; 2 bad usage; 3 the settings are not good.
`;

/** `gatehouse setup`. */
export async function setupCommand(args: string[]): Promise<number> {
  const parsed = readArgs(args, {
    out: { type: "string" },
    config: { type: "string" },
    "forget-token": { type: "boolean" },
  }, HELP);
  if (parsed === undefined) return EXIT.ok;
  const { values: { out, config, "forget-token": forget }, positionals: [file, ...more] } = parsed;
  if (file === undefined || more.length > 0) throw new UsageError("expected one SETUP.yaml");
  try {
    const setup = parseSetup(readSettings(file), file);
    if (setup === undefined) {
      console.log("setup: the card has no settings; the network is asked by DHCP");
    } else if (forget) forgetToken(file, setup);
    else if (out === undefined || config === undefined) {
      throw new UsageError("expected --out and --config, or --forget-token");
    } else await apply(setup, out, config);
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`setup: ${error.message}`);
    return EXIT.badInput;
  }
}

/** @throws {@link SetupError} when it is none that a card may have. */
function readSettings(file: string): string {
  try {
    using handle = Deno.openSync(file);
    // One byte more, so that what is too long is seen.
    const bytes = new Uint8Array(SETUP_BYTES + 1);
    let length = 0;
    for (;;) {
      const count = handle.readSync(bytes.subarray(length));
      if (count === null || count === 0) break;
      length += count;
    }
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length));
  } catch (cause) {
    throw new SetupError(`${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

async function apply(setup: Setup, out: string, config: string): Promise<void> {
  for (const { path, text, secret } of setupFiles(setup)) {
    const file = join(out, path);
    await Deno.mkdir(dirname(file), { recursive: true });
    await Deno.writeTextFile(file, text, { mode: secret ? 0o640 : 0o644 });
  }
  const { box: { name, school }, config: text } = setup;
  if (text !== undefined && !exists(config)) writeFileDurably(config, text);
  console.log(`setup: this is ${name}${school === undefined ? "" : `, ${school}`}`);
}

/** In place and of the same length: no table of the FAT is touched. */
function forgetToken(file: string, setup: Setup): void {
  if (setup.district?.token === undefined) return;
  const { token: _, ...district } = setup.district;
  using handle = Deno.openSync(file, { write: true });
  const bytes = renderSetup({ ...setup, district });
  for (let done = 0; done < bytes.length;) done += handle.writeSync(bytes.subarray(done));
  handle.syncSync();
  console.log("setup: the token is used, and gone from the card");
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
