import { HalError } from "../../hal/mod.ts";
import type { ResolvedConfig } from "../config/mod.ts";
import {
  findingLines,
  IoBench,
  type IoPrompt,
  judgeRunning,
  type Language,
  pressKey,
  screenLines,
} from "../installer/mod.ts";
import { loadConfig, reportConfigError } from "./check.ts";
import { openDevices } from "./devices.ts";
import { installerHosts, languageArg, runningBox } from "./installer_hosts.ts";
import { Screen } from "./terminal.ts";
import { EXIT, readArgs, UsageError } from "./usage.ts";

const HELP = `
gatehouse io --config FILE [--once] [--json] [--lang zh|en]

Shows the inputs, readers, outputs and sensors of a box live, with the last card of each reader, and
drives an output for two seconds after a typed y. The box must be stopped: meanwhile neither a card
nor the fire contact opens a door. Outputs go back to their safe state at the end. The lock of a door
in release is not driven.

  --config FILE   the box.yaml
  --once          shows everything once, after the readers had two seconds to answer
  --json          one JSON object a change: {"inputs", "readers", "outputs", "sensors", "expanders"}
  --lang zh|en    language; default: that of LC_ALL or LANG

Keys: d drive an output · q quit.

Exit codes: 0 ended, 1 a device cannot be used or a box runs, 2 bad usage, 3 the configuration has
faults.
`;

/** Readers answer within a poll or two, and a lost one is known after so long. */
const SETTLE_MS = 2_000;

/** `gatehouse io`. */
export async function ioCommand(args: string[], signal: AbortSignal): Promise<number> {
  const parsed = readArgs(args, {
    config: { type: "string" },
    once: { type: "boolean" },
    json: { type: "boolean" },
    lang: { type: "string" },
  }, HELP);
  if (parsed === undefined) return EXIT.ok;
  const { config: path, once = false, json = false, lang } = parsed.values;
  if (path === undefined) throw new UsageError("--config is missing");
  const language = languageArg(lang);
  let config: ResolvedConfig;
  try {
    config = await loadConfig(path);
  } catch (error) {
    return reportConfigError(error, path, json);
  }
  await using hosts = installerHosts();
  const running = await runningBox(config.api.listen, hosts.clock, signal);
  if (running !== undefined) {
    if (json) console.log(JSON.stringify({ running }));
    else {
      for (const finding of judgeRunning(running)) {
        for (const line of findingLines(finding, language)) console.log(line);
      }
    }
    return EXIT.failed;
  }
  try {
    await using devices = await openDevices(config, hosts.devices, signal);
    using bench = new IoBench(config, devices, hosts.clock);
    if (once) {
      await hosts.clock.sleep(SETTLE_MS, signal);
      if (json) console.log(JSON.stringify(bench.snapshot()));
      else console.log(screenLines(bench.snapshot(), watching, language).slice(0, -2).join("\n"));
      return EXIT.ok;
    }
    if (json) await stream(bench, signal);
    else await show(bench, language, signal);
    return EXIT.ok;
  } catch (error) {
    if (signal.aborted) return EXIT.ok;
    if (!(error instanceof HalError)) throw error;
    console.error(`gatehouse io: ${error.message}`);
    console.error(
      language === "zh"
        ? `执行 gatehouse doctor --config ${path} 查看原因和处理办法`
        : `gatehouse doctor --config ${path} says why and what to do`,
    );
    return EXIT.failed;
  }
}

const watching: IoPrompt = { kind: "watching" };

/** One line a change, until it is stopped. */
async function stream(bench: IoBench, signal: AbortSignal): Promise<void> {
  const print = () => console.log(JSON.stringify(bench.snapshot()));
  print();
  const cancel = bench.onChange(print);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
  cancel();
}

/** The screen and its keys, until q or a signal. */
async function show(bench: IoBench, language: Language, signal: AbortSignal): Promise<void> {
  const screen = new Screen();
  const quit = new AbortController();
  const end = AbortSignal.any([quit.signal, signal]);
  let prompt = watching;
  const draw = () => screen.draw(screenLines(bench.snapshot(), prompt, language));
  const cancel = bench.onChange(draw);
  const drives: Promise<void>[] = [];
  draw();
  try {
    for await (const key of screen.keys(end)) {
      const outputs = bench.snapshot().outputs.map((output) => output.id);
      const pressed = pressKey(prompt, key, outputs);
      prompt = pressed.prompt;
      const { order } = pressed;
      if (order.kind === "quit") break;
      if (order.kind === "check" || order.kind === "drive") {
        const note = bench.refusal(order.output);
        if (note !== undefined) prompt = { kind: "watching", note };
        else if (order.kind === "drive") drives.push(bench.drive(order.output, end));
        else prompt = { kind: "confirming", output: order.output, typed: "" };
      }
      draw();
    }
  } finally {
    cancel();
    quit.abort();
    await Promise.all(drives);
  }
}
