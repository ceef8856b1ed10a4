import { processClock } from "../../hal/linux/mod.ts";
import { enrol, SyncError } from "../../sync/mod.ts";
import { DATA_DIR_DEFAULT, EXIT, readArgs, UsageError } from "./usage.ts";

const HELP = `
gatehouse enrol --district URL --token T [--name NAME] [--data DIR] [--json]

Joins this box to a district, once. Checks that the district is the one that made the token, makes
the box's key (it never leaves the box), and keeps the district's key and certificate. A running box
must be restarted to take it over.

  --district URL   such as https://district.example:8443
  --token T        one-time token from the district's console, page Boxes
  --name NAME      how the box is called until it has connected; default: the host's name
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
    data: { type: "string" },
    json: { type: "boolean" },
  }, HELP);
  if (parsed === undefined) return EXIT.ok;
  const { district, token, name, data, json } = parsed.values;
  if (district === undefined) throw new UsageError("--district is missing");
  if (token === undefined) throw new UsageError("--token is missing");
  const dataDir = data ?? DATA_DIR_DEFAULT;
  try {
    await Deno.mkdir(dataDir, { recursive: true, mode: 0o700 });
    const identity = await enrol({
      url: district,
      token,
      name: name ?? Deno.hostname(),
      dataDir,
      clock: processClock(),
    }, signal);
    const { boxId, districtName } = identity;
    if (json) console.log(JSON.stringify({ boxId, district: districtName }));
    else console.log(`enrolled as ${boxId} with ${districtName}; start (or restart) gatehouse box`);
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof SyncError)) throw error;
    console.error(`gatehouse enrol: ${error.message}`);
    const unreached = ["unreachable", "timeout", "identity"].includes(error.kind);
    return unreached ? EXIT.failed : EXIT.badInput;
  }
}
