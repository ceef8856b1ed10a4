import { type Language, Picture, type Text } from "./draw.ts";

/** A pin of the 40-pin header: what it is, and what the guide's gate box uses it for. */
type Pin = readonly [name: string, use?: Text, colour?: string];

const t = (zh: string, en: string): Text => ({ zh, en });

const LOCK = "#ffcdd2", INPUT = "#c8e6c9", READER = "#bbdefb", BUS = "#ffe0b2", POWER = "#e1bee7";

/** Pins 1 to 40 (Raspberry Pi documentation, "GPIO and the 40-pin header"). */
const PINS: readonly Pin[] = [
  ["3V3", t("电平转换低侧", "level shifter, low side"), POWER],
  ["5V", t("继电器板 VCC", "relay board VCC"), POWER],
  ["GPIO2 SDA", t("RTC（DS3231）", "RTC (DS3231)"), BUS],
  ["5V", t("电平转换高侧", "level shifter, high side"), POWER],
  ["GPIO3 SCL", t("RTC（DS3231）", "RTC (DS3231)"), BUS],
  ["GND", t("继电器板 GND", "relay board GND"), POWER],
  ["GPIO4"],
  ["GPIO14 TXD", t("控制台，勿用", "console: leave free")],
  ["GND", t("触点公共端", "contacts' common"), POWER],
  ["GPIO15 RXD", t("控制台，勿用", "console: leave free")],
  ["GPIO17", t("门锁继电器", "lock relay"), LOCK],
  ["GPIO18"],
  ["GPIO27", t("门磁", "door contact"), INPUT],
  ["GND"],
  ["GPIO22", t("出门按钮", "exit button"), INPUT],
  ["GPIO23", t("消防触点", "fire contact"), INPUT],
  ["3V3"],
  ["GPIO24", t("读卡器绿灯", "reader LED"), READER],
  ["GPIO10"],
  ["GND"],
  ["GPIO9"],
  ["GPIO25", t("读卡器蜂鸣器", "reader buzzer"), READER],
  ["GPIO11"],
  ["GPIO8"],
  ["GND"],
  ["GPIO7"],
  ["ID_SD", t("HAT 专用，勿用", "HAT only: leave free")],
  ["ID_SC", t("HAT 专用，勿用", "HAT only: leave free")],
  ["GPIO5", t("进门读卡器 D0", "entry reader D0"), READER],
  ["GND", t("读卡器 0 V", "readers' 0 V"), POWER],
  ["GPIO6", t("进门读卡器 D1", "entry reader D1"), READER],
  ["GPIO12"],
  ["GPIO13", t("出门读卡器 D0", "exit reader D0"), READER],
  ["GND"],
  ["GPIO19", t("出门读卡器 D1", "exit reader D1"), READER],
  ["GPIO16"],
  ["GPIO26", t("第二门锁继电器", "second lock relay"), LOCK],
  ["GPIO20"],
  ["GND"],
  ["GPIO21"],
];

const FILL = (name: string) =>
  name === "5V" ? "#ef9a9a" : name === "3V3" ? "#f8bbd0" : name === "GND" ? "#b0bec5" : "#fff9c4";

/** Figure 1. */
export function header(language: Language): Picture {
  const picture = new Picture(
    language,
    900,
    760,
    t("图 1 · 树莓派 4/5 的 40 针接口", "Figure 1 · The 40-pin header of a Raspberry Pi 4 or 5"),
  );
  picture.text(
    24,
    60,
    t(
      "USB 口朝下，从上往下看；GPIO 编号就是 box.yaml 的 line",
      "Seen from above, USB sockets at the bottom. GPIO numbers are the line of box.yaml",
    ),
    { soft: true },
  );
  const [x, top, step] = [450, 116, 29];
  picture.device(x - 40, top - 38, 80, 20 * step + 40, t("J8", "J8"));
  PINS.forEach(([name, use, colour], index) => {
    const row = Math.floor(index / 2);
    const y = top + 8 + row * step;
    const left = index % 2 === 0;
    picture.pin(x + (left ? -17 : 17), y, FILL(name), String(index + 1));
    const edge = x + (left ? -50 : 50);
    picture.text(edge, y + 4.5, name, { anchor: left ? "end" : "start" });
    if (use === undefined) return;
    const at = x + (left ? -150 : 150);
    if (colour === undefined) {
      picture.text(at, y + 4.5, use, { anchor: left ? "end" : "start", soft: true, size: 12 });
    } else picture.tag(at, y, use, colour, left ? "end" : "start", 185);
  });
  const legend: readonly (readonly [Text, string])[] = [
    [t("电源", "power"), POWER],
    [t("输出", "outputs"), LOCK],
    [t("输入", "inputs"), INPUT],
    [t("读卡器", "readers"), READER],
    [t("总线", "bus"), BUS],
  ];
  legend.forEach(([label, colour], index) =>
    picture.tag(24 + index * 118, 722, label, colour, "start", 105)
  );
  picture.text(
    876,
    750,
    t(
      "每根线最高 3.3 V、约 8 mA：不要直接接 5 V 或 12 V",
      "3.3 V and some 8 mA a line at most: never 5 V or 12 V",
    ),
    { anchor: "end", size: 12.5, bold: true },
  );
  return picture;
}
