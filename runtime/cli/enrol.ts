import * as v from "valibot";
import { processClock } from "../../hal/linux/mod.ts";
import { enrol, SyncError } from "../../sync/mod.ts";
import { DATA_DIR_DEFAULT, EXIT, readArgs, UsageError } from "./usage.ts";

const HELP = `
gatehouse enrol --district URL --token T [--name NAME] [--data DIR] [--json]
gatehouse enrol --from FILE [--data DIR]

Joins this box to a district, once. Checks that the district is the one that made the token, makes
the box's key (it never leaves the box), and keeps the district's key and certificate. A running box
must be restarted to take it over.

  --district URL   such as https://district.example:8443
  --token T        one-time token from the district's console, page Boxes
  --name NAME      how the box is called until it has connected; default: the host's name
  --from FILE      district, token and name as JSON, {"url", "token", "name"}; asks again, ever less
                   often, until the district is reached
  --data DIR       the box's data folder, default ${DATA_DIR_DEFAULT}
  --json           one JSON object: {"boxId", "district"}

Exit codes: 0 enrolled, 1 the district cannot be reached, 2 bad usage, 3 the token or the district's
answer is not good.
`;

/** `gatehouse enrol`. */
export async function enrolCommand(args: string[], signal: AbortSignal): Promise<number> {
  const parsed = readArgs(args, {
    district: { type: "string" },
    token: { type: "string" },
    name: { type: "string" },
    from: { type: "string" },
    data: { type: "string" },
    json: { type: "boolean" },
  }, HELP);
  if (parsed === undefined) return EXIT.ok;
  const { data, json, from } = parsed.values;
  const { district, token, name } = from === undefined ? parsed.values : readOrder(from);
  if (district === undefined) throw new UsageError("--district is missing");
  if (token === undefined) throw new UsageError("--token is missing");
  const dataDir = data ?? DATA_DIR_DEFAULT;
  try {
    await Deno.mkdir(dataDir, { recursive: true, mode: 0o700 });
    const clock = processClock();
    const order = { url: district, token, name: name ?? Deno.hostname(), dataDir, clock };
    const identity = from === undefined
      ? await enrol(order, signal)
      : await untilReached(order, signal);
    const { boxId, districtName } = identity;
    if (json) console.log(JSON.stringify({ boxId, district: districtName }));
    else console.log(`enrolled as ${boxId} with ${districtName}; start (or restart) gatehouse box`);
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof SyncError)) throw error;
    console.error(`gatehouse enrol: ${error.message}`);
    return UNREACHED.includes(error.kind) || error.kind === "identity"
      ? EXIT.failed
      : EXIT.badInput;
  }
}

const UNREACHED = ["unreachable", "timeout"];
const ORDER_CHARS_MAX = 8_192;
/** A network that is not up yet is up in seconds; one that is being laid, in days. */
const RETRY_MS = { first: 2_000, most: 60_000 } as const;
const text = v.pipe(v.string(), v.maxLength(2_048));
const OrderSchema = v.object({ url: text, token: text, name: text });

function readOrder(file: string): { district: string; token: string; name: string } {
  const raw = Deno.readTextFileSync(file);
  const order = raw.length > ORDER_CHARS_MAX ? undefined : v.safeParse(OrderSchema, jsonOf(raw));
  // What is in it is never shown: it is a secret.
  if (order?.success !== true) throw new UsageError(`${file} is no order to enrol`);
  const { url: district, token, name } = order.output;
  return { district, token, name };
}

function jsonOf(raw: string): unknown {
  try {
    return JSON.parse(raw);
  } catch {
    return undefined;
  }
}

/** Asks until there is an answer, good or bad. */
async function untilReached(
  order: Parameters<typeof enrol>[0],
  signal: AbortSignal,
): ReturnType<typeof enrol> {
  for (let waitMs: number = RETRY_MS.first;; waitMs = Math.min(waitMs * 2, RETRY_MS.most)) {
    try {
      return await enrol(order, signal);
    } catch (error) {
      if (!(error instanceof SyncError) || !UNREACHED.includes(error.kind)) throw error;
      console.error(`gatehouse enrol: ${error.message}; asks again in ${waitMs / 1_000} s`);
    }
    await order.clock.sleep(waitMs, signal);
  }
}
