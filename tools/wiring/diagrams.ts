import { type Language, Picture, type Text } from "./draw.ts";
import { header } from "./header.ts";

const t = (zh: string, en: string): Text => ({ zh, en });
const PI = t("树莓派", "Raspberry Pi");

/** Figure 2: a relay, a strike and a magnet. */
function locks(language: Language): Picture {
  const p = new Picture(language, 900, 640, t("图 2 · 继电器与门锁", "Figure 2 · Relay and locks"));
  p.device(24, 70, 150, 170, PI);
  p.device(270, 70, 200, 170, t("继电器板（光耦）", "Relay board (optocoupler)"));
  const rows: readonly (readonly [number, string, string, "five" | "signal" | "zero"])[] = [
    [125, "5V (2)", "VCC", "five"],
    [165, "GPIO17 (11)", "IN", "signal"],
    [205, "GND (6)", "GND", "zero"],
  ];
  for (const [y, pi, board, kind] of rows) {
    p.wire(kind, [174, y], [270, y]);
    p.terminal(174, y, pi, "right");
    p.terminal(270, y, board, "left");
  }
  for (const [y, name] of [[125, "NC"], [165, "COM"], [205, "NO"]] as const) {
    p.terminal(470, y, name, "right");
  }
  p.device(690, 70, 186, 110, t("门锁电源 12 V", "Lock supply 12 V"), "#ffe0b2");
  p.terminal(690, 120, "+12 V", "left");
  p.terminal(690, 155, "0 V", "left");
  p.wire("plus", [690, 120], [580, 120], [580, 165], [470, 165]);
  p.device(560, 250, 316, 150, t("断电锁住：电锁口 / 电插锁（strike）", "Fail-secure: strike"));
  p.wire("plus", [470, 205], [520, 205], [520, 310], [690, 310]);
  p.wire("zero", [690, 155], [640, 155], [640, 235], [540, 235], [540, 375], [690, 375]);
  p.coil(690, 310, 375);
  p.wire("plus", [690, 310], [750, 310]);
  p.wire("zero", [690, 375], [750, 375]);
  p.diode(750, 310, 375, "1N4007");
  p.joint(690, 310, "plus");
  p.joint(690, 375, "zero");
  p.text(590, 300, "+", { bold: true, size: 16 });
  p.text(590, 392, "−", { bold: true, size: 16 });

  p.device(560, 450, 316, 150, t("断电释放：磁力锁（magnet）", "Fail-safe: magnet"));
  p.device(24, 450, 200, 150, t("12 V 与第二路继电器", "12 V and a second relay"));
  p.terminal(224, 510, t("继电器 NO", "relay NO"), "right");
  p.terminal(224, 575, "0 V", "right");
  p.wire("plus", [224, 510], [300, 510]);
  p.contact(300, 510, true);
  p.wire("plus", [350, 510], [420, 510]);
  p.contact(420, 510, true);
  p.wire("plus", [470, 510], [690, 510]);
  p.text(325, 492, t("紧急破玻", "break glass"), { anchor: "middle", size: 12 });
  p.text(445, 492, t("消防盘常闭", "fire panel, NC"), { anchor: "middle", size: 12 });
  p.wire("zero", [224, 575], [690, 575]);
  p.coil(690, 510, 575);
  p.wire("plus", [690, 510], [750, 510]);
  p.wire("zero", [690, 575], [750, 575]);
  p.diode(750, 510, 575, "1N4007");
  p.joint(690, 510, "plus");
  p.joint(690, 575, "zero");

  p.note(24, 262, 460, [
    t(
      "• 二极管紧贴锁安装，有环的一端（负极）接 +：断电时吸收线圈反峰",
      "• The diode sits at the lock, its band at +: it takes the coil's kick",
    ),
    t(
      "• 电锁和磁力锁都接 NO：主机停机时继电器释放",
      "• Both locks use NO: with the box dead the relay lets go",
    ),
    t("• 逃生通道只用断电释放的锁", "• Escape routes: fail-safe locks only"),
    t(
      "• 破玻和消防触点直接串在锁的 + 线里，不经过主机",
      "• Break glass and fire contact cut the lock's + wire itself",
    ),
    t(
      "• 锁和主机各有保险丝，0 V 只在一点相连",
      "• Lock and box have fuses of their own, joined at one 0 V",
    ),
  ]);
  return p;
}

/** Figure 3: OSDP readers on RS-485. */
function osdp(language: Language): Picture {
  const p = new Picture(
    language,
    900,
    520,
    t("图 3 · OSDP 读卡器（RS-485 总线）", "Figure 3 · OSDP readers on RS-485"),
  );
  p.device(24, 80, 190, 200, t("USB–RS-485 适配器", "USB to RS-485 adapter"));
  for (const [y, name] of [[140, "A (D−)"], [190, "B (D+)"], [240, "GND"]] as const) {
    p.terminal(214, y, name, "right");
  }
  p.text(119, 130, t("接主机 USB", "to the box's USB"), { anchor: "middle", size: 12, soft: true });
  const readers: readonly (readonly [number, Text])[] = [
    [430, t("读卡器 · 地址 0", "Reader · address 0")],
    [690, t("读卡器 · 地址 1", "Reader · address 1")],
  ];
  p.wire("a", [214, 140], [835, 140]);
  p.wire("b", [214, 190], [835, 190]);
  p.wire("zero", [214, 240], [740, 240]);
  p.shield(250, 118, 872, 262);
  for (const [x, name] of readers) {
    p.device(x - 70, 310, 190, 130, name);
    for (
      const [dx, y, label, kind] of [[-40, 140, "A", "a"], [5, 190, "B", "b"], [
        50,
        240,
        "0 V",
        "zero",
      ]] as const
    ) {
      p.wire(kind, [x + dx, y], [x + dx, 310]);
      p.joint(x + dx, y, kind);
      p.terminal(x + dx, 310, "", "top");
      p.text(x + dx, 360, label, { anchor: "middle" });
    }
    p.wire("plus", [x + 95, 470], [x + 95, 440]);
    p.terminal(x + 95, 440, "+12 V", "bottom");
  }
  p.wire("plus", [260, 470], [785, 470]);
  p.joint(525, 470, "plus");
  p.text(250, 474, t("读卡器电源 12 V", "Readers' supply 12 V"), { anchor: "end", size: 12.5 });
  p.resistor(270, 140, 50, "120 Ω", "down", "after");
  p.joint(270, 140, "a");
  p.joint(270, 190, "b");
  p.resistor(835, 140, 50, "120 Ω", "down", "before");
  p.wire("earth", [250, 262], [250, 290]);
  p.earth(250, 290);
  p.text(232, 300, t("屏蔽层只在一端接地", "shield earthed at one end"), {
    size: 12,
    anchor: "end",
    soft: true,
  });
  p.note(24, 330, 310, [
    t("• 手拉手接线，不要星形分支", "• One line from reader to reader, no star"),
    t("• 只在两端各接一个 120 Ω", "• 120 Ω at the two ends, nowhere else"),
    t("• + 接 +、− 接 −：各厂的 A/B 叫法不同", "• + to +, − to −: A and B differ by maker"),
    t("• 0 V 也要连：没有它信号会漂", "• Join the 0 V as well, or levels drift"),
    t("• 双绞屏蔽线，9600 波特可达 1200 m", "• Shielded pair, 1200 m at 9600 baud"),
  ]);
  return p;
}

/** Figure 4: a Wiegand reader. */
function wiegand(language: Language): Picture {
  const p = new Picture(
    language,
    900,
    470,
    t("图 4 · Wiegand 读卡器", "Figure 4 · Wiegand reader"),
  );
  p.device(24, 80, 190, 270, PI);
  p.device(340, 80, 200, 270, t("电平转换板（BSS138）", "Level shifter (BSS138)"));
  p.device(690, 80, 186, 270, t("读卡器 12 V", "Reader, 12 V"));
  const rows: readonly (readonly [number, string, string, string, string, "green" | "white"])[] = [
    [150, "GPIO5 (29)", "LV1", "HV1", "D0", "green"],
    [195, "GPIO6 (31)", "LV2", "HV2", "D1", "white"],
  ];
  for (const [y, pi, low, high, name, kind] of rows) {
    p.wire(kind, [214, y], [340, y]);
    p.wire(kind, [540, y], [690, y]);
    p.resistor(580, y, 64, "100 Ω", "right", "before");
    p.terminal(214, y, pi, "right");
    p.terminal(340, y, low, "left");
    p.terminal(540, y, high, "right");
    p.terminal(690, y, name, "left");
  }
  p.wire("three", [214, 240], [340, 240]);
  p.terminal(214, 240, "3V3 (1)", "right");
  p.terminal(340, 240, "LV 3.3 V", "left");
  p.wire("five", [214, 285], [280, 285], [280, 375], [590, 375], [590, 240], [540, 240]);
  p.terminal(214, 285, "5V (4)", "right");
  p.terminal(540, 240, "HV 5 V", "right");
  p.wire("zero", [214, 325], [340, 325]);
  p.terminal(214, 325, "GND (30)", "right");
  p.terminal(340, 325, "GND", "left");
  p.terminal(540, 325, "GND", "right");
  p.wire("zero", [540, 325], [690, 325]);
  p.terminal(690, 325, "0 V", "left");
  p.terminal(690, 265, "+12 V", "left");
  p.wire("plus", [690, 265], [640, 265], [640, 395], [876, 395]);
  p.text(876, 415, t("读卡器电源 +12 V", "readers' supply +12 V"), { anchor: "end", size: 12 });
  p.text(612, 138 - 16, t("绿线", "green wire"), { anchor: "middle", size: 12, soft: true });
  p.text(612, 222, t("白线", "white wire"), { anchor: "middle", size: 12, soft: true });
  p.note(24, 395, 590, [
    t(
      "• 读卡器的 5 V 会烧坏 GPIO：必须转换电平，而且不能反相（单个三极管会反相）",
      "• A reader's 5 V destroys a GPIO: shift it, without inverting (a lone transistor inverts)",
    ),
    t(
      "• 读卡器 0 V 必须与主机 GND 相连；屏蔽线，最长 150 m，更远用 OSDP",
      "• Join the reader's 0 V with GND. Shielded cable, 150 m at most; beyond that OSDP",
    ),
  ], "mind");
  return p;
}

/** Figure 5: dry contacts, bare and supervised. */
function contacts(language: Language): Picture {
  const p = new Picture(
    language,
    900,
    560,
    t("图 5 · 干接点：门磁、按钮、线尾电阻", "Figure 5 · Dry contacts and end-of-line resistors"),
  );
  p.device(24, 80, 190, 160, PI);
  p.wire("three", [214, 130], [300, 130]);
  p.terminal(214, 130, "3V3 (17)", "right");
  p.wire("signal", [214, 170], [470, 170]);
  p.terminal(214, 170, "GPIO27 (13)", "right");
  p.wire("zero", [214, 210], [760, 210], [760, 170], [690, 170]);
  p.terminal(214, 210, "GND (9)", "right");
  p.resistor(300, 130, 40, "2.2 kΩ", "down", "after");
  p.joint(300, 170, "signal");
  p.resistor(400, 170, 70, "1 kΩ", "right", "before");
  p.wire("signal", [470, 170], [640, 170]);
  p.contact(640, 170, true);
  p.text(665, 150, t("门磁（关门时闭合）", "door contact (closed while shut)"), {
    anchor: "middle",
    size: 12,
  });
  p.text(520, 235, t("电缆", "cable"), { size: 12, soft: true });
  p.text(
    24,
    268,
    t(
      "短线可用芯片内部上拉：bias: pull-up。长线加 2.2 kΩ 上拉和 1 kΩ 串联保护。",
      "Short wires: the chip's own pull-up (bias: pull-up). Long ones: 2.2 kΩ to 3.3 V, and 1 kΩ in series to protect it.",
    ),
    { size: 12.5 },
  );

  p.device(24, 300, 190, 160, t("A/D 转换器", "A/D converter"));
  p.terminal(214, 350, t("参考电压", "reference"), "right");
  p.terminal(214, 390, t("输入 0", "input 0"), "right");
  p.terminal(214, 430, "GND", "right");
  p.wire("three", [214, 350], [300, 350]);
  p.resistor(300, 350, 40, "4.7 kΩ", "down", "after");
  p.device(500, 300, 376, 160, t("探测器外壳内", "inside the detector's housing"));
  p.wire("signal", [214, 390], [520, 390]);
  p.joint(300, 390, "signal");
  p.resistor(520, 390, 70, "2.2 kΩ", "right", "before");
  p.wire("signal", [590, 390], [650, 390]);
  p.contact(650, 390, true);
  p.joint(620, 390, "signal");
  p.wire("signal", [620, 390], [620, 350], [640, 350]);
  p.resistor(640, 350, 70, "4.7 kΩ", "right", "after");
  p.wire("signal", [710, 350], [740, 350], [740, 390]);
  p.wire("zero", [700, 390], [790, 390], [790, 430], [214, 430]);
  p.joint(740, 390, "zero");
  p.note(24, 480, 852, [
    t(
      "监视输入（驱动 supervised）分得清：正常、报警、断线、短路。电阻必须装在最远端，装在主机旁等于没有。",
      "A supervised input (driver supervised) tells normal, alarm, broken and short apart. The resistors belong at the far end.",
    ),
    t(
      "box.yaml：pullUpOhms: 4700, seriesOhms: 2200, parallelOhms: 4700, contact: normally-closed",
      "box.yaml: pullUpOhms: 4700, seriesOhms: 2200, parallelOhms: 4700, contact: normally-closed",
    ),
  ]);
  return p;
}

/** Figure 6: the fire panel. */
function fire(language: Language): Picture {
  const p = new Picture(language, 900, 430, t("图 6 · 消防联动", "Figure 6 · Fire panel"));
  p.device(24, 80, 210, 250, t("消防盘输出模块", "Fire panel, output module"), "#ffcdd2");
  p.contact(90, 150, true);
  p.wire("signal", [140, 150], [234, 150]);
  p.wire("zero", [90, 150], [60, 150], [60, 190], [234, 190]);
  p.terminal(234, 150, "", "right");
  p.terminal(234, 190, "", "right");
  p.text(115, 132, t("干接点 1 · 常闭", "contact 1 · NC"), { anchor: "middle", size: 12 });
  p.contact(90, 260, true);
  p.wire("plus", [140, 260], [234, 260]);
  p.wire("plus", [90, 260], [60, 260], [60, 300], [234, 300]);
  p.terminal(234, 260, "", "right");
  p.terminal(234, 300, "", "right");
  p.text(115, 242, t("干接点 2 · 常闭", "contact 2 · NC"), { anchor: "middle", size: 12 });
  p.device(640, 80, 236, 130, PI);
  p.wire("signal", [234, 150], [640, 150]);
  p.wire("zero", [234, 190], [640, 190]);
  p.terminal(640, 150, t("GPIO23 (16) 上拉", "GPIO23 (16), pull-up"), "left");
  p.terminal(640, 190, "GND (9)", "left");
  p.text(
    437,
    140,
    t(
      "告诉主机：记录、放行所有门、通知区平台",
      "tells the box: record, free all doors, tell the district",
    ),
    { anchor: "middle", size: 12 },
  );
  p.device(640, 215, 236, 125, t("门锁电源 12 V", "Lock supply 12 V"), "#ffe0b2");
  p.wire("plus", [234, 260], [640, 260]);
  p.terminal(640, 260, "+12 V", "left");
  p.wire("plus", [234, 300], [640, 300]);
  p.text(437, 318, t("到各磁力锁的 +", "to the + of all magnets"), { anchor: "middle", size: 12 });
  p.text(437, 250, t("直接切断锁的电源", "cuts the locks' current itself"), {
    anchor: "middle",
    size: 12,
  });
  p.terminal(640, 300, t("锁 + 母线", "locks' + rail"), "left");
  p.note(24, 350, 852, [
    t(
      "• 两个独立的触点：主机死机时，触点 2 仍然释放所有磁力锁。断线等同火警，这是有意的。",
      "• Two contacts of their own: contact 2 frees the magnets with the box dead. A broken wire counts as fire, on purpose.",
    ),
    t(
      "• 触点 1 平时闭合（低电平），火警或断线时断开：release 的输入用 bias: pull-up，不写 activeLow。",
      "• Contact 1 is closed (low) in peace and opens on fire or a cut: the release input has bias: pull-up and no activeLow.",
    ),
  ], "mind");
  return p;
}

/** Figure 7: supplies and earth. */
function power(language: Language): Picture {
  const p = new Picture(language, 900, 470, t("图 7 · 供电与接地", "Figure 7 · Power and earth"));
  p.device(24, 80, 200, 220, t("12 V 电源箱（带电池）", "12 V supply with battery"), "#ffe0b2");
  p.text(124, 290, t("220 V 交流 · 12 V 7 Ah 电池", "230 V AC · 12 V 7 Ah battery"), {
    anchor: "middle",
    size: 12,
    soft: true,
  });
  p.terminal(224, 150, t("锁 +", "locks +"), "right");
  p.terminal(224, 200, t("主机 +", "box +"), "right");
  p.terminal(224, 260, "0 V", "right");
  p.device(400, 150, 190, 110, t("12 V → 5.1 V 转换", "12 V to 5.1 V converter"));
  p.wire("plus", [224, 200], [400, 200]);
  p.terminal(400, 200, "IN +", "left");
  p.terminal(400, 235, "IN −", "left");
  p.terminal(590, 200, "5.1 V", "right");
  p.terminal(590, 235, "0 V", "right");
  p.device(690, 150, 186, 110, t("树莓派（USB-C）", "Raspberry Pi (USB-C)"));
  p.wire("five", [590, 200], [690, 200]);
  p.wire("zero", [590, 235], [690, 235]);
  p.terminal(690, 200, "5 V", "left");
  p.terminal(690, 235, "GND", "left");
  p.wire("plus", [224, 150], [300, 150], [300, 110], [690, 110]);
  p.resistor(420, 110, 70, t("保险丝 2 A", "fuse 2 A")[language], "right", "before");
  p.text(700, 114, t("锁、读卡器", "locks, readers"), { size: 13 });
  p.wire("zero", [224, 260], [340, 260], [340, 330], [690, 330]);
  p.wire("zero", [340, 260], [340, 235], [400, 235]);
  p.joint(340, 260, "zero");
  p.text(700, 334, t("锁、读卡器 0 V", "locks' and readers' 0 V"), { size: 13 });
  p.wire("earth", [340, 330], [340, 352]);
  p.joint(340, 330, "zero");
  p.earth(340, 352);
  p.text(
    366,
    366,
    t(
      "0 V 只在这一点接地，机箱接保护地",
      "0 V is earthed here and nowhere else; the housing is on protective earth",
    ),
    { size: 12.5 },
  );
  p.note(24, 392, 852, [
    t(
      "• Pi 4 要 5.1 V 3 A，Pi 5 要 5.1 V 5 A；gatehouse doctor 会报告欠压",
      "• A Pi 4 takes 5.1 V 3 A, a Pi 5 5.1 V 5 A. gatehouse doctor tells when the voltage was too low",
    ),
    t(
      "• 锁吸合时有大电流：锁与主机分开布线、分开保险，线径按压降不超过 5% 选",
      "• Locks draw surges: wires and fuses of their own, thick enough for 5 % of drop at most",
    ),
  ]);
  return p;
}

/** Every diagram by the name of its file. */
export const DIAGRAMS: Readonly<Record<string, (language: Language) => Picture>> = {
  header,
  locks,
  osdp,
  wiegand,
  contacts,
  fire,
  power,
};
