/**
 * What stands between a box and its device files: nothing there, no permission, somebody else on it.
 * Pure: facts in, findings out.
 *
 * @module
 */
import type { DeviceAccess, FoundDevice, FoundKind, MachineUser } from "../../../hal/mod.ts";
import { type Text, text } from "../language.ts";
import type { Check, Finding } from "./finding.ts";

const CHECK_OF: Readonly<Record<FoundKind, Check>> = {
  "serial": "serial-port",
  "gpio-chip": "gpio-chip",
  "hid": "hid",
  "camera": "camera",
  "one-wire": "device",
  "iio": "device",
  "watchdog": "watchdog",
  "rtc": "clock-battery",
};

/** Kinds whose device file a box opens; of the others nothing but their being there matters. */
const OPENED: ReadonlySet<FoundKind> = new Set(["serial", "gpio-chip", "hid", "camera"]);

/** What each kind's group is called on Debian and Raspberry Pi OS. */
const USUAL_GROUP: Partial<Readonly<Record<FoundKind, string>>> = {
  "serial": "dialout",
  "gpio-chip": "gpio",
  "hid": "plugdev",
  "camera": "video",
};

/** A path that `access` says cannot be opened, or `undefined` when it can. */
export function judgeAccess(
  check: Check,
  subject: string,
  access: DeviceAccess,
  user: MachineUser,
  kind: FoundKind,
): Finding | undefined {
  if (!access.usable) {
    return { check, subject, severity: "fault", ...permission(access, user, kind) };
  }
  const [holder] = access.holders;
  // Several programs may have a GPIO chip open: only its lines are exclusive. So with cameras' nodes.
  if (holder === undefined || kind === "gpio-chip" || kind === "camera") return undefined;
  return { check, subject, severity: "fault", ...busy(holder.name, holder.pid) };
}

/** Who may not open it and how that is changed. */
function permission(
  access: DeviceAccess,
  user: MachineUser,
  kind: FoundKind,
): { what: Text; advice: Text } {
  const what = text(
    `用户 ${user.name} 没有权限打开`,
    `user ${user.name} may not open it`,
  );
  const { group } = access;
  if (group !== undefined && group !== "root" && access.groupMay && !user.groups.includes(group)) {
    const command = `sudo usermod -aG ${group} ${user.name}`;
    return {
      what: text(`${what.zh}（需要加入 ${group} 组）`, `${what.en}: it belongs to group ${group}`),
      advice: text(
        `执行 ${command}，然后重新登录或重启服务`,
        `run ${command}, then log in again or restart the service`,
      ),
    };
  }
  const usual = USUAL_GROUP[kind] ?? "plugdev";
  const subsystem = {
    "serial": "tty",
    "gpio-chip": "gpio",
    "hid": "hidraw",
    "camera": "video4linux",
  };
  const rule = `SUBSYSTEM=="${
    subsystem[kind as keyof typeof subsystem] ?? "*"
  }", GROUP="${usual}", MODE="0660"`;
  return {
    what,
    advice: text(
      `在 /etc/udev/rules.d/60-gatehouse.rules 写入 ${rule}，执行 sudo usermod -aG ${usual} ${user.name}，再重新插拔设备`,
      `put ${rule} into /etc/udev/rules.d/60-gatehouse.rules, run sudo usermod -aG ${usual} ${user.name}, and plug the device in again`,
    ),
  };
}

/** Another program has it. */
function busy(name: string, pid: number): { what: Text; advice: Text } {
  const ours = name === "deno" || name === "gatehouse";
  return {
    what: text(
      `被另一个程序占用：${name}（进程 ${pid}）`,
      `another program has it: ${name} (process ${pid})`,
    ),
    advice: ours
      ? text(
        "主机程序正在运行：执行 sudo systemctl stop gatehouse-box 后再检查，完成后再启动",
        "the box is running: sudo systemctl stop gatehouse-box, look again, and start it afterwards",
      )
      : name === "ModemManager"
      ? text(
        "执行 sudo systemctl disable --now ModemManager；它会探测每个串口",
        "run sudo systemctl disable --now ModemManager: it probes every serial port",
      )
      : name === "agetty"
      ? text(
        "这是登录控制台：在 raspi-config 的 Interface Options 中关闭串口登录",
        "that is a login console: turn it off in raspi-config, Interface Options, Serial Port",
      )
      : text(
        `结束它（sudo kill ${pid}），或改用另一个口`,
        `stop it (sudo kill ${pid}), or use another port`,
      ),
  };
}

/** One device of the machine, whether or not `box.yaml` uses it. */
export function judgeFound(device: FoundDevice, access: DeviceAccess, user: MachineUser): Finding {
  const check = CHECK_OF[device.kind];
  const subject = device.stable;
  const fault = OPENED.has(device.kind)
    ? judgeAccess(check, subject, access, user, device.kind)
    : undefined;
  const where = device.path === device.stable ? "" : ` (${device.path})`;
  const named = `${device.description}${where}`;
  // What nobody configured may be none of the box's business: it is told, not complained about.
  if (fault !== undefined) {
    return {
      ...fault,
      severity: "info",
      what: text(`${named}：${fault.what.zh}`, `${named}: ${fault.what.en}`),
    };
  }
  return { check, subject, severity: "ok", what: text(named, named) };
}

/** A path of `box.yaml` where nothing is. `others` are devices of its kind that are there. */
export function judgeMissing(
  check: Check,
  subject: string,
  path: string,
  others: readonly FoundDevice[],
): Finding {
  const [other] = others;
  const list = others.map((device) => device.stable).join(", ");
  return {
    check,
    subject,
    severity: "fault",
    what: text(`${path} 不存在`, `${path} is not there`),
    advice: other === undefined
      ? text(
        "没有找到任何同类设备：检查 USB 线和供电，用 dmesg | tail 看它是否被识别",
        "there is no such device at all: check cable and power, and whether dmesg | tail sees it",
      )
      : others.length === 1
      ? text(
        `本机有另一个：${list}（${other.description}）。若是更换的适配器，把 box.yaml 的 path 改为它`,
        `there is another: ${list} (${other.description}). If the adapter was replaced, write that path in box.yaml`,
      )
      : text(
        `本机有：${list}；把 box.yaml 的 path 改为正确的那个`,
        `there are: ${list}; write the right one in box.yaml`,
      ),
  };
}
