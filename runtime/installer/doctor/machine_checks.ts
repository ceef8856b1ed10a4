/**
 * What a machine's own facts mean: clock, disk, memory, power. Pure: facts in, findings out.
 *
 * @module
 */
import type {
  ClockFacts,
  PowerFacts,
  StorageFacts,
  WallQuality,
  WearFacts,
} from "../../../hal/mod.ts";
import { text } from "../language.ts";
import type { Finding } from "./finding.ts";

/** A box whose clock is before the year of this program has lost its time. */
const BUILT_WALL_MS = Date.UTC(2026, 0, 1);
const YEAR_MS = 365 * 86_400_000;
/** Nobody runs this program that much later; certificates and policies would not hold either. */
const LATEST_WALL_MS = BUILT_WALL_MS + 30 * YEAR_MS;
/** More than a day between the two clocks is no drift. */
const CLOCKS_APART_MS_MAX = 86_400_000;

/** The battery clock and the time of day. */
export function judgeClock(
  facts: ClockFacts,
  wallMs: number,
  quality: WallQuality,
): Finding[] {
  const findings: Finding[] = [];
  const time = new Date(wallMs).toISOString().slice(0, 16).replace("T", " ");
  const subject = facts.batteryClocks[0] ?? "rtc";
  if (facts.batteryClocks.length === 0) {
    findings.push({
      check: "clock-battery",
      subject,
      severity: "warning",
      what: text(
        "没有带电池的时钟（RTC）：断电后若没有网络，时间会出错",
        "there is no battery clock (RTC): after a power cut without network the time is wrong",
      ),
      advice: text(
        "加装 RTC 模块（Pi 4：DS3231 接 I²C，config.txt 写 dtoverlay=i2c-rtc,ds3231；Pi 5：在 J5 插电池）",
        "add an RTC (Pi 4: a DS3231 on I²C and dtoverlay=i2c-rtc,ds3231 in config.txt; Pi 5: a battery at J5)",
      ),
    });
  } else if (
    facts.batteryWallMs === undefined ||
    Math.abs(facts.batteryWallMs - wallMs) > CLOCKS_APART_MS_MAX
  ) {
    findings.push({
      check: "clock-battery",
      subject,
      severity: "warning",
      what: text(
        "电池时钟与系统时间相差一天以上，或读不出来",
        "the battery clock is more than a day from the system's time, or cannot be read",
      ),
      advice: text(
        "更换电池，待时间同步后执行 hwclock --systohc",
        "change its battery, and run hwclock --systohc once the time is synchronised",
      ),
    });
  } else {
    findings.push({
      check: "clock-battery",
      subject,
      severity: "ok",
      what: text("电池时钟正常", "the battery clock runs and agrees"),
    });
  }
  if (wallMs < BUILT_WALL_MS || wallMs > LATEST_WALL_MS) {
    findings.push({
      check: "clock-time",
      subject: "clock",
      severity: "fault",
      what: text(`系统时间是 ${time} UTC，差了几年`, `the time is ${time} UTC, which is years off`),
      advice: text(
        "接上网络等待对时，或用 timedatectl set-time '年-月-日 时:分' 手动设定",
        "connect the network and wait for the time, or set it: timedatectl set-time 'YYYY-MM-DD hh:mm'",
      ),
    });
  } else if (quality === "unsynchronised") {
    findings.push({
      check: "clock-time",
      subject: "clock",
      severity: "warning",
      what: text(
        `时间（${time} UTC）没有与任何时间源同步`,
        `the time (${time} UTC) is not synchronised with any source`,
      ),
      advice: text(
        "执行 timedatectl set-ntp true，并检查 NTP 服务器（UDP 123）是否可达；时段权限依赖时间",
        "run timedatectl set-ntp true, and see that the NTP server (UDP 123) is reachable: schedules need the time",
      ),
    });
  } else {
    findings.push({
      check: "clock-time",
      subject: "clock",
      severity: "ok",
      what: text(`时间已同步（${time} UTC）`, `the time is synchronised (${time} UTC)`),
    });
  }
  return findings;
}

const MIB = 1 << 20;
/** A day's events of a large gate take some MB; below this the journal has weeks at most. */
const FREE_BYTES_LOW = 512 * MIB;
const FREE_BYTES_NONE = 16 * MIB;
const FREE_INODES_LOW = 1_000;

/** The data folder's file system. */
export function judgeStorage(facts: StorageFacts): Finding[] {
  const { path, write, freeBytes, totalBytes, freeInodes, totalInodes } = facts;
  const free = `${Math.floor(freeBytes / MIB)} MiB`;
  const fault = (zh: string, en: string, adviceZh: string, adviceEn: string): Finding => ({
    check: "data-folder",
    subject: path,
    severity: "fault",
    what: text(zh, en),
    advice: text(adviceZh, adviceEn),
  });
  const noInodes = totalInodes > 0 && freeInodes < 10;
  if (write === "full" || (write === "ok" && freeBytes < FREE_BYTES_NONE) || noInodes) {
    return [{
      check: "data-space",
      subject: path,
      severity: "fault",
      what: noInodes
        ? text(`inode 已用完（剩 ${freeInodes}）`, `the inodes are used up (${freeInodes} left)`)
        : text(`磁盘已满（剩 ${free}）`, `the disk is full (${free} left)`),
      advice: text(
        `事件将无法保存：用 du -xh ${facts.existing} | sort -h | tail 找出大文件并清理，或换更大的卡`,
        `events cannot be kept: find what fills it with du -xh ${facts.existing} | sort -h | tail, or use a larger card`,
      ),
    }];
  }
  switch (write) {
    case "read-only":
      return [fault(
        "文件系统是只读的",
        "the file system is read-only",
        "执行 mount -o remount,rw；若反复变为只读，说明 SD 卡已损坏，请更换并查看 dmesg",
        "run mount -o remount,rw; if it comes back, the card is failing: look at dmesg and replace it",
      )];
    case "permission":
      return [fault(
        "当前用户不能写入",
        "this user may not write there",
        `以 root 执行 chown -R gatehouse: ${path}，或用运行主机的用户再执行 doctor`,
        `run chown -R gatehouse: ${path} as root, or run doctor as the user that runs the box`,
      )];
    case "failed":
      return [fault(
        "写入失败",
        "writing there failed",
        "查看 dmesg 中的磁盘错误；SD 卡可能已损坏",
        "look for disk errors in dmesg; the card may be failing",
      )];
    case "ok":
      break;
    default:
      write satisfies never;
  }
  const low = freeBytes < FREE_BYTES_LOW && freeBytes < totalBytes / 5;
  const fewInodes = totalInodes > 0 && freeInodes < FREE_INODES_LOW;
  if (low || fewInodes) {
    return [{
      check: "data-space",
      subject: path,
      severity: "warning",
      what: fewInodes
        ? text(`inode 只剩 ${freeInodes}`, `${freeInodes} inodes are left`)
        : text(`可用空间只剩 ${free}`, `${free} are left`),
      advice: text("清理旧文件，或换更大的卡", "remove old files, or use a larger card"),
    }];
  }
  return [{
    check: "data-folder",
    subject: path,
    severity: "ok",
    what: text(`可写，剩余 ${free}`, `it can be written, ${free} are free`),
  }];
}

/** Flash memories that tell their wear. */
export function judgeWear(facts: readonly WearFacts[]): Finding[] {
  return facts.map(({ device, usedPercent, endOfLife }): Finding => {
    const worn = endOfLife || usedPercent > 90;
    const what = text(
      `存储寿命已用约 ${usedPercent}%`,
      `about ${usedPercent} % of its life is used`,
    );
    if (!worn) {
      return { check: "flash-wear", subject: device, severity: "ok", what };
    }
    return {
      check: "flash-wear",
      subject: device,
      severity: endOfLife || usedPercent > 100 ? "fault" : "warning",
      what,
      advice: text("尽快备份并更换存储", "back it up and replace it soon"),
    };
  });
}

/** A box needs some 80 MiB; below this the kernel begins to end programs. */
const AVAILABLE_BYTES_LOW = 100 * MIB;

/** Memory that programs can still get. */
export function judgeMemory(
  memory: { readonly totalBytes: number; readonly availableBytes: number } | undefined,
): Finding[] {
  if (memory === undefined) return [];
  const available = `${Math.floor(memory.availableBytes / MIB)} MiB`;
  const low = memory.availableBytes < AVAILABLE_BYTES_LOW;
  return [{
    check: "memory",
    subject: "memory",
    severity: low ? "warning" : "ok",
    what: text(`可用内存 ${available}`, `${available} of memory are available`),
    ...(low
      ? {
        advice: text(
          "关闭其他程序（ps aux --sort=-rss | head 可查看），或换内存更大的主机",
          "stop other programs (ps aux --sort=-rss | head shows them), or use a machine with more",
        ),
      }
      : {}),
  }];
}

/** A Pi's supply. */
export function judgePower(facts: PowerFacts | undefined): Finding[] {
  if (facts === undefined) return [];
  const { underVoltageNow, underVoltageSinceBoot, throttledNow } = facts;
  if (!underVoltageNow && !underVoltageSinceBoot) {
    return [{
      check: "power",
      subject: "power",
      severity: "ok",
      what: text("供电电压正常", "the supply voltage has been right since boot"),
    }];
  }
  const slow = throttledNow
    ? text("，处理器已降频", ", and the processor is slowed down")
    : text("", "");
  return [{
    check: "power",
    subject: "power",
    severity: underVoltageNow ? "fault" : "warning",
    what: underVoltageNow
      ? text(`供电电压过低${slow.zh}`, `the supply voltage is too low${slow.en}`)
      : text(
        "开机以来曾出现供电电压过低",
        "the supply voltage was too low at some time since boot",
      ),
    advice: text(
      "使用官方电源（Pi 4：5.1 V 3 A，Pi 5：5.1 V 5 A）和短而粗的线；锁和读卡器不要从 Pi 取电",
      "use the official supply (Pi 4: 5.1 V 3 A, Pi 5: 5.1 V 5 A) and a short thick cable; never feed locks or readers from the Pi",
    ),
  }];
}

/** Whether the hardware can restart a box that hangs. `wanted` is the path of `box.yaml`, if it has one. */
export function judgeWatchdog(there: readonly string[], wanted: string | undefined): Finding[] {
  if (wanted !== undefined && !there.includes(wanted)) {
    return [{
      check: "watchdog",
      subject: wanted,
      severity: "fault",
      what: text("box.yaml 指定的看门狗不存在", "the watchdog that box.yaml names is not there"),
      advice: text(
        there.length > 0
          ? `本机有：${there.join("、")}；改正 box.yaml`
          : "加载驱动（Pi：dtparam=watchdog=on；PC：modprobe iTCO_wdt），或从 box.yaml 删去 watchdog",
        there.length > 0
          ? `there is ${there.join(", ")}; mend box.yaml`
          : "load its driver (Pi: dtparam=watchdog=on; PC: modprobe iTCO_wdt), or take watchdog out of box.yaml",
      ),
    }];
  }
  if (there.length === 0) {
    return [{
      check: "watchdog",
      subject: "watchdog",
      severity: "info",
      what: text(
        "没有硬件看门狗：主机死机后不会自动重启",
        "there is no hardware watchdog: a machine that hangs stays so",
      ),
      advice: text(
        "Pi：config.txt 写 dtparam=watchdog=on；PC：在 BIOS 中启用或 modprobe iTCO_wdt",
        "Pi: dtparam=watchdog=on in config.txt; PC: enable it in the BIOS, or modprobe iTCO_wdt",
      ),
    }];
  }
  return [{
    check: "watchdog",
    subject: wanted ?? there[0]!,
    severity: wanted === undefined ? "info" : "ok",
    what: wanted === undefined
      ? text(
        "有硬件看门狗，但 box.yaml 没有使用",
        "there is a hardware watchdog, and box.yaml does not use it",
      )
      : text("硬件看门狗可用", "the hardware watchdog is there"),
    ...(wanted === undefined
      ? {
        advice: text(
          `在 box.yaml 写 watchdog: { path: ${there[0]}, timeoutMs: 15000 }`,
          `write watchdog: { path: ${there[0]}, timeoutMs: 15000 } in box.yaml`,
        ),
      }
      : {}),
  }];
}
