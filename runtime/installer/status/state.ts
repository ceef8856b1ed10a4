import { type Text, text } from "../language.ts";

/** What can be known of a box that was just put onto a wall. */
export interface BoxFacts {
  /** What was wrong with the settings on the card. */
  readonly settingsFault?: string;
  /** Addresses that others can reach, not this machine's own. */
  readonly addresses: readonly string[];
  /** It has its district's certificate. */
  readonly enrolled: boolean;
  /** The card names a district to join; and what came of it last. */
  readonly joining?: { readonly said: string; readonly refused: boolean };
  /** It has a `box.yaml`. */
  readonly configured: boolean;
  /** What the box says of itself; without it, it does not answer. */
  readonly box?: { readonly faults: readonly string[]; readonly connected: boolean };
}

/** Where a box stands, worst first. */
export type BoxStateKind =
  | "settings"
  | "no-network"
  | "refused"
  | "joining"
  | "unconfigured"
  | "starting"
  | "fault"
  | "alone"
  | "offline"
  | "works";

/** It, for a person: in one sentence, and what to do. */
export interface BoxState {
  readonly kind: BoxStateKind;
  readonly what: Text;
  readonly advice?: Text;
}

/** Judges the facts. The first thing that a person has to do comes first. */
export function boxState(facts: BoxFacts): BoxState {
  const { settingsFault, addresses, enrolled, joining, configured, box } = facts;
  if (settingsFault !== undefined) {
    return {
      kind: "settings",
      what: text(
        `卡上的设置有误：${settingsFault}`,
        `The settings on the card are wrong: ${settingsFault}`,
      ),
      advice: text(
        "把卡插入电脑，修改 GATEHOUSE 盘上的 setup.yaml，再重新上电",
        "Put the card into a computer, mend setup.yaml on the drive GATEHOUSE, switch on again",
      ),
    };
  }
  if (addresses.length === 0) {
    return {
      kind: "no-network",
      what: text("还没有网络地址", "There is no network address yet"),
      advice: text(
        "检查网线、交换机端口、Wi-Fi 名称与密码，或 setup.yaml 中的固定地址",
        "Check the cable, the switch's port, the Wi-Fi's name and password, or the address in setup.yaml",
      ),
    };
  }
  if (!enrolled && joining !== undefined) {
    const { said, refused } = joining;
    const [zh, en] = said === "" ? ["", ""] : [`：${said}`, `: ${said}`];
    if (refused) {
      return {
        kind: "refused",
        what: text(`区域平台没有接受本机${zh}`, `The district did not take this box${en}`),
        advice: text(
          "在区域控制台生成新的令牌，写入 setup.yaml，再重新上电",
          "Make a new token in the district's console, write it into setup.yaml, switch on again",
        ),
      };
    }
    return {
      kind: "joining",
      what: text(`正在等待区域平台${zh}`, `Waiting for the district${en}`),
      advice: text(
        "如持续不变，检查平台地址、代理和网络准入；本机会一直重试，无需重启",
        "If it stays so, check the district's address, proxy and network login; it asks for ever",
      ),
    };
  }
  if (!configured) {
    return {
      kind: "unconfigured",
      what: text(
        "还没有 box.yaml：本机不知道有哪些门",
        "There is no box.yaml: it knows no doors yet",
      ),
      advice: text(
        "烧录时用 --config 带上，或把它写入 setup.yaml",
        "Give it with --config when the card is flashed",
      ),
    };
  }
  if (box === undefined) {
    return {
      kind: "starting",
      what: text("主机程序正在启动", "The box is starting"),
      advice: text(
        "超过一分钟仍如此，请查看日志",
        "If it takes more than a minute, look at its log",
      ),
    };
  }
  if (box.faults.length > 0) {
    const list = box.faults.join("; ");
    return { kind: "fault", what: text(`故障：${list}`, `Fault: ${list}`) };
  }
  if (!enrolled) {
    return {
      kind: "alone",
      what: text("工作正常，未加入区域平台", "It works, and belongs to no district"),
    };
  }
  if (!box.connected) {
    return {
      kind: "offline",
      what: text(
        "门照常工作，与区域平台的连接中断",
        "Its doors work; the district is not reached",
      ),
      advice: text("事件会保存在本机，连通后补传", "Events are kept and sent once it is reached"),
    };
  }
  return { kind: "works", what: text("工作正常", "It works") };
}

/** How the light shows it: ms on, off, on, … and again. On all the time: `[1]`. */
export const BLINKS: Readonly<Record<BoxStateKind, readonly number[]>> = {
  settings: [100, 100],
  refused: [100, 100],
  fault: [100, 100],
  "no-network": [1_000, 1_000],
  joining: [150, 250, 150, 1_450],
  unconfigured: [150, 250, 150, 250, 150, 1_050],
  starting: [500, 500],
  alone: [1],
  works: [1],
  offline: [2_800, 200],
};
