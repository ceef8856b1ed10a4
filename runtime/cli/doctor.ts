import { linuxMachine } from "../../hal/linux/mod.ts";
import type { Clock } from "../../hal/mod.ts";
import { loadIdentity, probeDistrict, SyncError } from "../../sync/mod.ts";
import type { ResolvedConfig } from "../config/mod.ts";
import {
  bySeverity,
  type DistrictReach,
  examine,
  type Finding,
  findingLines,
  summaryLine,
} from "../installer/mod.ts";
import { loadConfig, reportConfigError } from "./check.ts";
import { installerHosts, languageArg, readerFinders, runningBox } from "./installer_hosts.ts";
import { DATA_DIR_DEFAULT, EXIT, readArgs, UsageError } from "./usage.ts";

const HELP = `
gatehouse doctor [--config FILE] [--data DIR] [--seconds N] [--json] [--lang zh|en]

Looks this machine over: ports, chips, HID devices, cameras, clock, disk, memory, power, network. With
a configuration it also tries every reader and watches every input. Says what is wrong and what to do.
A box that runs is asked, and its devices are left alone.

  --config FILE   the box.yaml
  --data DIR      the box's data folder, default ${DATA_DIR_DEFAULT}
  --seconds N     how long inputs are watched, 1 to 60, default 3
  --json          one JSON object a finding: {"check", "subject", "severity", "what": {"zh", "en"},
                  "advice": {"zh", "en"}}; severity is ok, info, warning or fault
  --lang zh|en    language; default: that of LC_ALL or LANG
  --root DIR      looks for devices under DIR instead of /; for tests and images

Exit codes: 0 no fault, 1 at least one fault, 2 bad usage, 3 the configuration has faults.
`;

/** Readers that are there answer within two seconds; the secure channel takes another. */
const ANSWER_MS = 4_000;
/** A whole search of a line takes longer; the usual finds come first. */
const SEARCH_MS = 20_000;
const DISTRICT_MS_MAX = 10_000;

/** `gatehouse doctor`. */
export async function doctorCommand(args: string[], signal: AbortSignal): Promise<number> {
  const parsed = readArgs(args, {
    config: { type: "string" },
    data: { type: "string" },
    seconds: { type: "string" },
    json: { type: "boolean" },
    lang: { type: "string" },
    root: { type: "string" },
  }, HELP);
  if (parsed === undefined) return EXIT.ok;
  const { config: path, data = DATA_DIR_DEFAULT, json = false, root } = parsed.values;
  const language = languageArg(parsed.values.lang);
  const seconds = Number(parsed.values.seconds ?? 3);
  if (!(seconds >= 1 && seconds <= 60)) throw new UsageError("--seconds is 1 to 60");
  let config: ResolvedConfig | undefined;
  if (path !== undefined) {
    try {
      config = await loadConfig(path);
    } catch (error) {
      return reportConfigError(error, path, json);
    }
  }
  await using hosts = installerHosts(root);
  const { clock, devices } = hosts;
  const findings: Finding[] = [];
  await examine(
    {
      clock,
      machine: linuxMachine(root === undefined ? {} : { root }),
      inventory: hosts.inventory,
      serial: devices.serial,
      gpio: devices.gpio,
      finders: readerFinders(clock),
      district: (abort) => reachDistrict(data, clock, abort),
      running: (abort) =>
        config === undefined
          ? Promise.resolve(undefined)
          : runningBox(config.api.listen, clock, abort),
    },
    {
      ...(config === undefined ? {} : { config }),
      dataDir: data,
      watchMs: seconds * 1_000,
      answerMs: ANSWER_MS,
      searchMs: SEARCH_MS,
    },
    (finding) => {
      findings.push(finding);
      if (json) console.log(JSON.stringify(finding));
    },
    signal,
  );
  if (!json) {
    for (const finding of bySeverity(findings)) {
      for (const line of findingLines(finding, language)) console.log(line);
    }
    console.log(`\n${summaryLine(findings, language)}`);
  }
  return findings.some((finding) => finding.severity === "fault") ? EXIT.failed : EXIT.ok;
}

/** Asks the district that this box is enrolled with; `undefined` when it is with none. */
async function reachDistrict(
  data: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<DistrictReach | undefined> {
  let url = "identity";
  const late = new AbortController();
  const cancel = clock.schedule(DISTRICT_MS_MAX, () => {
    late.abort(new SyncError("timeout", `${url}: no answer in ${DISTRICT_MS_MAX} ms`));
  });
  try {
    const identity = await loadIdentity(data);
    if (identity === undefined) return undefined;
    url = identity.url;
    const aheadMs = await probeDistrict(identity, clock, AbortSignal.any([signal, late.signal]));
    return { kind: "reached", url, aheadMs };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof SyncError)) throw error;
    const { kind, message } = error;
    switch (kind) {
      case "unreachable":
      case "tls-untrusted":
      case "tls-clock":
      case "timeout":
      case "revoked":
        return { kind, url, message };
      default:
        return { kind: "other", url, message };
    }
  } finally {
    cancel();
  }
}
