/**
 * Inputs and Wiegand readers on GPIO lines: taken for a few seconds and watched.
 *
 * @module
 */
import { type Clock, type GpioHost, type GpioSettings, HalError } from "../../../hal/mod.ts";
import { type Text, text } from "../language.ts";
import type { Finding } from "./finding.ts";

/** What was seen of one line. */
export type Observed =
  | { readonly kind: "refused"; readonly error: HalError }
  | {
    readonly kind: "seen";
    readonly first: boolean;
    readonly last: boolean;
    /** Changes of level, those that the kernel lost too. */
    readonly edges: number;
  };

/** Takes the line for `watchMs` and lets it go. */
export async function observeLine(
  gpio: GpioHost,
  settings: GpioSettings,
  clock: Clock,
  watchMs: number,
  signal: AbortSignal,
): Promise<Observed> {
  try {
    await using line = await gpio.request(settings, signal);
    const first = line.read();
    let edges = 0;
    const end = new AbortController();
    const over = AbortSignal.any([end.signal, signal]);
    const cancel = clock.schedule(watchMs, () => end.abort());
    try {
      // The number of the last edge counts those that were lost before it.
      for await (const edge of line.edges(over)) edges = Math.max(edges, edge.sequence);
    } finally {
      cancel();
    }
    signal.throwIfAborted();
    return { kind: "seen", first, last: line.read(), edges };
  } catch (error) {
    if (signal.aborted || !(error instanceof HalError)) throw error;
    return { kind: "refused", error };
  }
}

/**
 * What an input is for, as `box.yaml` joins it with doors. A `release-loop` is active while all is well
 * (`normally: closed`), and releases when it is not.
 */
export type InputRole = "contact" | "request-to-exit" | "release" | "release-loop" | "other";

/** Nobody presses a button that often in a few seconds. */
const EDGES_A_SECOND_MAX = 3;

/** What a watched input means. */
export function judgeInput(
  id: string,
  role: InputRole,
  settings: GpioSettings,
  observed: Observed,
  watchMs: number,
): Finding {
  const where = `${settings.chip} ${settings.line}`;
  const subject = `${id} (${where})`;
  if (observed.kind === "refused") return refusedLine(subject, settings, observed.error);
  const { first, last, edges } = observed;
  if (edges > EDGES_A_SECOND_MAX * watchMs / 1_000) {
    return {
      check: "input",
      subject,
      severity: "fault",
      what: text(
        `${watchMs / 1_000} 秒内跳变 ${edges} 次：输入在不停抖动`,
        `it changed ${edges} times in ${watchMs / 1_000} s: it never settles`,
      ),
      advice: text(
        settings.bias === undefined || settings.bias === "as-is"
          ? "线路悬空：在 box.yaml 写 bias: pull-up（触点接地），并检查接线；干扰大时用屏蔽线、加大 debounceMs"
          : "检查触点是否松动；远离电源线，用屏蔽双绞线；仍有抖动时加大 debounceMs",
        settings.bias === undefined || settings.bias === "as-is"
          ? "the line floats: write bias: pull-up (contact to ground) in box.yaml and check the wires; against noise use a shielded pair and a longer debounceMs"
          : "look for a loose contact, keep away from mains, use a shielded pair; raise debounceMs if it stays",
      ),
    };
  }
  const loop = role === "release-loop";
  if (loop && !first && !last && edges === 0) {
    return { check: "input", subject, ...stuck(role, settings) };
  }
  if (loop || !(first && last && edges === 0)) {
    return {
      check: "input",
      subject,
      severity: "ok",
      what: edges > 0
        ? text(`有反应（${edges} 次变化）`, `it reacts (${edges} changes)`)
        : loop
        ? text("回路闭合", "the loop is closed")
        : text("静止，未触发", "at rest, not active"),
    };
  }
  return { check: "input", subject, ...stuck(role, settings) };
}

function stuck(role: InputRole, settings: GpioSettings): Omit<Finding, "check" | "subject"> {
  const turned = `activeLow: ${!(settings.activeLow ?? false)}`;
  switch (role) {
    case "release":
    case "release-loop":
      return {
        severity: "fault",
        what: text(
          "消防联动一直处于触发状态：所有门都会被释放",
          "the fire release is on all the time: every door is unlocked",
        ),
        advice: text(
          `检查消防盘干接点与接线（断线也按火警处理）；若接点是另一种类型，把 box.yaml 改为 ${turned}`,
          `check the panel's contact and its wires (a broken wire counts as fire); if the contact is of the other kind, write ${turned} in box.yaml`,
        ),
      };
    case "request-to-exit":
      return {
        severity: "warning",
        what: text("出门按钮一直处于按下状态", "the exit button is pressed all the time"),
        advice: text(
          `检查按钮是否卡住、线是否短路；若按钮是常闭的，把 box.yaml 改为 ${turned}`,
          `see whether it is jammed or its wires touch; if it is a normally closed one, write ${turned} in box.yaml`,
        ),
      };
    case "contact":
      return {
        severity: "warning",
        what: text("门磁一直显示门开着", "the door contact says that the door is open"),
        advice: text(
          `门若是关着的：检查磁铁距离和接线，或把 box.yaml 改为 ${turned}`,
          `if the door is shut: check the magnet's gap and the wires, or write ${turned} in box.yaml`,
        ),
      };
    case "other":
      return {
        severity: "info",
        what: text("一直处于触发状态", "it is active all the time"),
        advice: text(
          `若不应如此：检查接线，或把 box.yaml 改为 ${turned}`,
          `if it should not be: check the wires, or write ${turned} in box.yaml`,
        ),
      };
    default:
      return role satisfies never;
  }
}

/** A line that cannot be had, and what to do about it. */
export function refusedLine(subject: string, settings: GpioSettings, error: HalError): Finding {
  const explained: Partial<Record<HalError["kind"], { what: Text; advice: Text }>> = {
    "busy": {
      what: text(
        `线 ${settings.line} 已被占用`,
        `line ${settings.line} is in use`,
      ),
      advice: text(
        "gpioinfo 显示谁在用它。若主机程序在运行，先停止它；若被 dtoverlay 占用（如 w1-gpio、spi），从 config.txt 删去或换一根线",
        "gpioinfo shows by whom. If the box runs, stop it first; if an overlay has it (w1-gpio, spi), take that out of config.txt or use another line",
      ),
    },
    "not-found": {
      what: text(
        `没有 ${settings.chip} 或其第 ${settings.line} 根线`,
        `there is no ${settings.chip}, or no line ${settings.line} on it`,
      ),
      advice: text(
        "gpiodetect 列出芯片，gpioinfo 列出线；Pi 4 用 pinctrl-bcm2711，Pi 5 用 pinctrl-rp1",
        "gpiodetect lists the chips, gpioinfo their lines; pinctrl-bcm2711 on a Pi 4, pinctrl-rp1 on a Pi 5",
      ),
    },
    "permission": {
      what: text(`没有权限使用 ${settings.chip}`, `${settings.chip} may not be opened`),
      advice: text(
        "执行 sudo usermod -aG gpio 用户名，然后重新登录",
        "run sudo usermod -aG gpio USER, then log in again",
      ),
    },
    "unsupported": {
      what: text(
        `线 ${settings.line} 不能报告电平变化`,
        `line ${settings.line} cannot report changes`,
      ),
      advice: text("换一根线", "use another line"),
    },
  };
  const { what, advice } = explained[error.kind] ?? {
    what: text(error.message, error.message),
    advice: text("检查 box.yaml 中这一项的设置", "check its settings in box.yaml"),
  };
  return { check: "gpio-line", subject, severity: "fault", what, advice };
}

/** A Wiegand reader's two lines, watched with the same pull as the driver uses; levels are voltages. */
export function judgeWiegand(
  id: string,
  settings: readonly [GpioSettings, GpioSettings],
  observed: readonly [Observed, Observed],
): Finding {
  const subject = `${id} (${settings[0].chip} ${settings[0].line}/${settings[1].line})`;
  for (const [index, one] of observed.entries()) {
    if (one.kind === "refused") return refusedLine(subject, settings[index]!, one.error);
  }
  const seen = observed as readonly Extract<Observed, { kind: "seen" }>[];
  // After a frame both lines are at rest again: the last level is the resting one.
  const low = seen.map((one) => !one.last);
  const pulses = seen.reduce((sum, one) => sum + one.edges, 0);
  if (low[0] && low[1]) {
    return {
      check: "wiegand",
      subject,
      severity: "fault",
      what: pulses > 0
        ? text(
          "静止时两根线都是低电平，且有脉冲：极性相反",
          "both lines rest low and pulse: the polarity is inverted",
        )
        : text("静止时两根线都是低电平", "both lines rest low"),
      advice: pulses > 0
        ? text(
          "电平转换器把信号反相了：换用不反相的（BSS138 板或 74LVC245），或去掉反相的一级",
          "the level shifter inverts: use one that does not (a BSS138 board or a 74LVC245), or leave out the inverting stage",
        )
        : text(
          "检查读卡器供电和共地（读卡器的 0 V 必须与主机相连）、是否有上拉；若用晶体管转换电平，它会反相",
          "check the reader's supply and that its 0 V is joined to the box's, and the pull-up; a transistor as level shifter inverts",
        ),
    };
  }
  if (low[0] || low[1]) {
    const name = low[0] ? "D0" : "D1";
    return {
      check: "wiegand",
      subject,
      severity: "fault",
      what: text(`${name} 静止时是低电平`, `${name} rests low`),
      advice: text(
        `检查 ${name}（${low[0] ? "绿" : "白"}线）是否对地短路、是否接错端子`,
        `see whether ${name} (the ${
          low[0] ? "green" : "white"
        } wire) touches ground or is on another terminal`,
      ),
    };
  }
  return {
    check: "wiegand",
    subject,
    severity: "ok",
    what: pulses > 0
      ? text(`线路正常，收到 ${pulses / 2} 个脉冲`, `the lines are good, ${pulses / 2} pulses came`)
      : text(
        "线路静止于高电平；刷一张卡可进一步确认",
        "the lines rest high; present a card to be sure",
      ),
  };
}
