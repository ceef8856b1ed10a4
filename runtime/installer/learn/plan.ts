import { HalError, type HidIdentity } from "../../../hal/mod.ts";
import { text } from "../language.ts";
import { hidName, typingDevices } from "./hid_watch.ts";
import type { Questions } from "./questions.ts";
import { portPath } from "./sighting.ts";
import type { LearnHosts, WatchPlan } from "./watch.ts";

/** GPIO lines of a Pi's header that are neither I²C, nor the console, nor the HAT's EEPROM. */
const HEADER_LINES = Array.from({ length: 24 }, (_, index) => index + 4)
  .filter((line) => line !== 14 && line !== 15);

/** What may be touched. A keyboard that is taken cannot be typed on, and a port may belong to something else. */
export async function agreePlan(
  ask: Questions,
  hosts: LearnHosts,
  signal: AbortSignal,
): Promise<WatchPlan> {
  const devices = await hosts.inventory.list(signal);
  const leaveAlone = new Set<string>();
  const ports = devices.filter((device) => device.kind === "serial");
  for (const port of ports) {
    const path = portPath(port);
    const question = text(
      `试探串口 ${path}（${port.description}）？`,
      `Try the serial port ${path} (${port.description})?`,
    );
    if (!await ask.yes(question, true)) leaveAlone.add(path);
  }
  if (ports.length === 0) {
    ask.say(
      text(
        "现在没有串口；插上 USB 适配器会自动识别。",
        "There is no serial port yet; an adapter is noticed as it is plugged in.",
      ),
    );
  }
  const keyboards = typingDevices(await hidDevices(ask, hosts, signal));
  const hid = [];
  for (const device of keyboards) {
    const question = text(
      `${hidName(device)} 是读卡器吗（不是键盘）？`,
      `Is ${hidName(device)} a card reader (and no keyboard)?`,
    );
    if (await ask.yes(question, false)) hid.push(device);
  }
  const gpio = [];
  for (const chip of devices.filter((device) => device.kind === "gpio-chip")) {
    // Lines of other chips (a PC's, an expander's) are not on any header.
    const header = /^pinctrl-(bcm|rp1)|^gpio-sim/.test(chip.stable);
    const question = text(
      `监视 ${chip.stable}（${chip.description}）上的线？输入如 4-13,16-27，回车采用建议，0 为不监视`,
      `Watch lines of ${chip.stable} (${chip.description})? Such as 4-13,16-27; 0 is none`,
    );
    const lines = await ask.lines(question, header ? HEADER_LINES : []);
    if (lines.length > 0) gpio.push({ chip: chip.stable, lines });
  }
  return { leaveAlone, hid, gpio };
}

async function hidDevices(
  ask: Questions,
  hosts: LearnHosts,
  signal: AbortSignal,
): Promise<readonly HidIdentity[]> {
  try {
    return await hosts.device.hid.list(signal);
  } catch (error) {
    if (!(error instanceof HalError)) throw error;
    ask.say(
      text(
        `USB 读卡器无法列出：${error.message}`,
        `USB readers cannot be listed: ${error.message}`,
      ),
    );
    return [];
  }
}
