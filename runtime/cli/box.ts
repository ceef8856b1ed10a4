import { join } from "node:path";
import { linuxClock, linuxGpioHost, linuxSerialHost } from "../../hal/linux/mod.ts";
import { VirtualGpio } from "../../hal/sim/mod.ts";
import type { BoxStatus, PolicyMessage } from "../../sync/wire/mod.ts";
import { answerLocal } from "../api/mod.ts";
import { Box, BoxMetrics, CorrectedClock, DoorModes } from "../box/mod.ts";
import type { ResolvedConfig } from "../config/mod.ts";
import { type Journal, openJournal } from "../journal/mod.ts";
import { jsonLog, type Log, LOG_LEVELS, type LogLevel } from "../log.ts";
import { applyPolicy, openPolicyStore, packPolicy, type StoredPolicy } from "../policy/mod.ts";
import { VERSION } from "../version.ts";
import { loadConfig, reportConfigError } from "./check.ts";
import { openDevices } from "./devices.ts";
import { DATA_DIR_DEFAULT, EXIT, readArgs, UsageError } from "./usage.ts";

const HELP = `
gatehouse box --config FILE [--data DIR] [--log-level LEVEL]

Runs a box: takes the doors that FILE names, decides at them, records every event, and talks to its
district if it was enrolled (gatehouse enrol). Logs one JSON object a line to standard error. Ends on
SIGTERM or SIGINT, outputs in their safe state.

  --config FILE       the box.yaml; gatehouse check reads it without running it
  --data DIR          journal, policy and identity, default ${DATA_DIR_DEFAULT}
  --log-level LEVEL   ${LOG_LEVELS.join(", ")}; default info

Exit codes: 0 stopped as asked, 1 a device or the data folder cannot be used, 2 bad usage,
3 the configuration has faults.
`;

/** How often another process's `policy load` is looked for. */
const POLICY_POLL_MS = 2_000;
