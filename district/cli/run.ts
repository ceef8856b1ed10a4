import { hostname as hostName } from "node:os";
import { processClock } from "../../hal/linux/clock.ts";
import { openDistrict } from "../district.ts";
import { jsonLog } from "../log.ts";
import { VERSION } from "../version.ts";
import {
  DATA_DIR_DEFAULT,
  ensureDataDir,
  EXIT,
  parseListen,
  readArgs,
  UsageError,
} from "./args.ts";

/** Help of `gatehouse district`. */
export const RUN_HELP = `
gatehouse district [--data DIR] [--listen HOST:PORT]      runs the district server with its console
gatehouse district token [--data DIR] [--json]            makes a one-time token for a new box
gatehouse district operator [--data DIR] NAME             adds an operator, or sets a new password
gatehouse district revoke [--data DIR] BOX                withdraws a box
gatehouse district assign-key [--data DIR] [--json]       prints the public half of the key that assigns updates
gatehouse district verify [--data DIR] [--json] [BOX…]    recomputes the hash chains of boxes

  --data DIR           where everything is kept (${DATA_DIR_DEFAULT})
  --listen HOST:PORT   where to listen (0.0.0.0:8443); port 0 takes a free one, which is printed
  --host NAME          a name or address that browsers and boxes use; may be given several times
  --update-rate N      bytes a second that all downloads of updates together may take; K, M: 1,000 and
                       1,000,000 of them, such as 12M. Without it what there is
  --name TEXT          the district's name, as the console shows it
  --cert FILE          a certificate of your own with its chain, PEM; boxes pin the last one in it
  --key FILE           its key, PEM
  --json               prints {"event":"listening",…} as one line of JSON on standard output

The first start makes an operator "admin" and prints its password once. The log goes to standard
error, one line of JSON each. SIGTERM and SIGINT stop it.

Exit codes: 0 done or stopped as asked, 1 failed, 2 bad usage, 3 a file from outside is bad.
`;

/** Names and addresses of this machine, as far as they may be asked. */
function ownHosts(): string[] {
  const hosts: string[] = [];
  try {
    const name = hostName();
    if (/^[a-z0-9.-]+$/i.test(name)) hosts.push(name);
    for (const { address, scopeid } of Deno.networkInterfaces()) {
      // Link-local addresses need an interface's name and are no use in a certificate.
      if (scopeid === null || scopeid === 0) hosts.push(address);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
  }
  return hosts;
}

function certificate(certPath: string | undefined, keyPath: string | undefined) {
  if (certPath === undefined && keyPath === undefined) return {};
  if (certPath === undefined || keyPath === undefined) {
    throw new UsageError("--cert and --key go together");
  }
  return {
    certificate: {
      certPem: Deno.readTextFileSync(certPath),
      keyPem: Deno.readTextFileSync(keyPath),
    },
  };
}

/** At less than a chunk a second not even one box gets its release. */
const RATE_MIN = 64 << 10;

function rateOf(text: string | undefined) {
  if (text === undefined) return {};
  const match = /^(\d{1,12})([KM]?)$/.exec(text);
  const rate = Number(match?.[1]) * { "": 1, K: 1e3, M: 1e6 }[match?.[2] ?? ""]!;
  if (!(rate >= RATE_MIN)) {
    throw new UsageError(`--update-rate is at least ${RATE_MIN} bytes a second, such as 12M`);
  }
  return { updateBytesPerSecond: rate };
}

/** `gatehouse district`: serves until `signal` is aborted. */
export async function runCommand(args: string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = readArgs(args, {
    data: { type: "string", default: DATA_DIR_DEFAULT },
    listen: { type: "string", default: "0.0.0.0:8443" },
    host: { type: "string", multiple: true, default: [] },
    name: { type: "string", default: "Gatehouse" },
    "update-rate": { type: "string" },
    cert: { type: "string" },
    key: { type: "string" },
    json: { type: "boolean", default: false },
  });
  if (positionals.length > 0) throw new UsageError(`${positionals[0]} is not understood`);
  const { hostname, port } = parseListen(values.listen);
  ensureDataDir(values.data);
  const clock = processClock();
  const log = jsonLog(clock, (line) => console.error(line));
  await using district = await openDistrict({
    dataDir: values.data,
    hostname,
    port,
    hosts: [...values.host, ...ownHosts()],
    clock,
    log,
    name: values.name,
    version: VERSION,
    webDir: new URL("../../web/dist", import.meta.url).pathname,
    ...rateOf(values["update-rate"]),
    ...certificate(values.cert, values.key),
  });
  const { url, firstOperator } = district;
  if (values.json) {
    console.log(JSON.stringify({ event: "listening", url, port: district.port, pid: Deno.pid }));
    if (firstOperator !== undefined) {
      console.log(JSON.stringify({ event: "operator", ...firstOperator }));
    }
  } else {
    console.log(`The console is at ${url}`);
    if (firstOperator !== undefined) {
      console.log(
        `Log in as ${firstOperator.username} with the password ${firstOperator.password}`,
      );
      console.log("It is shown only now. A new one: gatehouse district operator admin");
    }
  }
  if (!signal.aborted) {
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  }
  log.info("stopping");
  return EXIT.ok;
}
