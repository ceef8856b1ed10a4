/**
 * What a tried serial line means. Pure: the trial and the search in, findings out.
 *
 * @module
 */
import type { HalError } from "../../../hal/mod.ts";
import { type Text, text } from "../language.ts";
import type { BusReader, FoundReader, LineFinding, Trial } from "./bus_trial.ts";
import type { Finding } from "./finding.ts";

/** A line, its settings, and what was tried on it. */
export interface TriedBus {
  readonly id: string;
  readonly path: string;
  readonly baudRate: number;
  readonly readers: readonly BusReader[];
  readonly trial: Trial;
  /** What a search found, where one was needed. */
  readonly found: readonly LineFinding[];
}

/** Some bytes of noise come with switching things on. */
const GARBAGE_BYTES_MIN = 8;

/** Every reader of a line. */
export function judgeBus(bus: TriedBus): Finding[] {
  const { trial } = bus;
  if (trial.kind === "refused") return [refusedPort(bus.id, bus.path, trial.error)];
  return bus.readers.map((reader) => {
    const state = trial.readers.get(reader.id)!;
    if (reader.driver.devicesMax === 1) return judgeOneWay(bus, reader, trial, state.reads);
    if (!state.online) return judgeSilent(bus, reader, trial);
    const { identity } = state;
    const who = identity === undefined
      ? ""
      : `, ${identity.vendor} ${identity.model}, ${identity.firmware}`;
    return {
      check: "reader",
      subject: subjectOf(bus, reader),
      severity: "ok",
      what: text(`应答正常${who}`, `it answers${who}`),
    };
  });
}

function subjectOf(bus: TriedBus, reader: BusReader): string {
  const address = addressOf(reader);
  return address === undefined
    ? `${reader.id} (${bus.id})`
    : `${reader.id} (${bus.id}, ${address})`;
}

function addressOf(reader: BusReader): number | undefined {
  return (reader.options as { readonly address?: number } | undefined)?.address;
}

function hasKey(reader: BusReader): boolean {
  const options = reader.options as { readonly key?: string; readonly keyFile?: string };
  return options.key !== undefined || options.keyFile !== undefined;
}

/** A reader with an address that did not answer. */
function judgeSilent(
  bus: TriedBus,
  reader: BusReader,
  trial: Extract<Trial, { kind: "tried" }>,
): Finding {
  const subject = subjectOf(bus, reader);
  const address = addressOf(reader);
  const fault = (what: Text, advice: Text, check: Finding["check"] = "reader"): Finding => ({
    check,
    subject,
    severity: "fault",
    what,
    advice,
  });
  const found = bus.found.filter((one) => one.kind === "reader");
  const here = found.find((one) => one.address === address && one.baudRate === bus.baudRate);
  if (here !== undefined) return fault(...keyTrouble(here, reader));
  const noise = bus.found.some((one) => one.kind === "noise");
  // Where somebody talks unasked, every question seems to be answered by several.
  if (!noise && bus.found.some((one) => one.kind === "collision" && one.address === address)) {
    return fault(
      text(
        `地址 ${address} 上的应答互相冲突：有两台读卡器用了同一地址`,
        `the replies at address ${address} collide: two readers have it`,
      ),
      text(
        "每次只接一台，用读卡器的拨码或 gatehouse osdp comset 给每台不同的地址",
        "join them one at a time and give each its own address, by its switches or gatehouse osdp comset",
      ),
    );
  }
  const elsewhere = found.find((one) => one.address === address);
  if (elsewhere !== undefined) {
    return fault(
      text(
        `波特率不对：读卡器用 ${elsewhere.baudRate}，box.yaml 写的是 ${bus.baudRate}`,
        `wrong baud rate: the reader talks at ${elsewhere.baudRate}, box.yaml says ${bus.baudRate}`,
      ),
      text(
        `在 box.yaml 的总线 ${bus.id} 写 baudRate: ${elsewhere.baudRate}，或把读卡器改为 ${bus.baudRate}`,
        `write baudRate: ${elsewhere.baudRate} at bus ${bus.id} in box.yaml, or set the reader to ${bus.baudRate}`,
      ),
    );
  }
  const taken = new Set(bus.readers.map(addressOf));
  const stranger = found.find((one) => !taken.has(one.address));
  if (stranger !== undefined && stranger.address === undefined) {
    return fault(
      text(
        `地址 ${address} 没有应答；有一台读卡器只在广播地址应答（${stranger.baudRate} 波特）`,
        `nothing answers at address ${address}; one reader answers where all do, at ${stranger.baudRate} baud`,
      ),
      text(
        `单独接上它，执行 gatehouse osdp comset 把地址设为 ${address}`,
        `join it alone and set its address to ${address} with gatehouse osdp comset`,
      ),
    );
  }
  if (stranger !== undefined) {
    const rate = stranger.baudRate === bus.baudRate ? "" : ` (${stranger.baudRate} baud)`;
    return fault(
      text(
        `地址 ${address} 没有应答，但地址 ${stranger.address}${rate} 有一台没有配置的读卡器`,
        `nothing answers at address ${address}, but there is a reader at ${stranger.address}${rate} that box.yaml does not have`,
      ),
      text(
        `在 box.yaml 写 address: ${stranger.address}，或在读卡器上把地址设为 ${address}`,
        `write address: ${stranger.address} in box.yaml, or set the reader to ${address}`,
      ),
    );
  }
  const others = [...trial.readers.values()].some((one) => one.online);
  const errors = trial.lineErrors ?? 0;
  const garbageBytes = trial.receivedBytes +
    bus.found.reduce((sum, one) => sum + (one.kind === "noise" ? one.bytes : 0), 0);
  if (!others && (errors > 0 || garbageBytes >= GARBAGE_BYTES_MIN)) {
    return fault(
      errors > 0
        ? text(
          `没有应答，线路有 ${errors} 次帧错误或断线电平：A、B 很可能接反了`,
          `no reply, and ${errors} framing errors or breaks on the line: A and B are probably exchanged`,
        )
        : text(
          `没有应答，只收到无法识别的字节（${hex(trial.sample)}）：A、B 可能接反了`,
          `no reply, only bytes that are no frames (${
            hex(trial.sample)
          }): A and B may be exchanged`,
        ),
      text(
        "对调 A（D−）和 B（D+）两根线再试；各厂家的 A/B 标法不同，以 + 对 +、− 对 − 为准。仍不行则检查终端电阻和偏置",
        "swap A (D−) and B (D+) and try again; makers name them differently, so join + with + and − with −. Then look at termination and biasing",
      ),
      "serial-line",
    );
  }
  return fault(
    text(
      `地址 ${address}、${bus.baudRate} 波特没有应答，试过的其他波特率也没有`,
      `no reply at address ${address} and ${bus.baudRate} baud, nor at the other rates`,
    ),
    others
      ? text(
        "同一条线上的其他读卡器正常：检查这一台的供电、地址，以及到它这一段的线",
        "other readers on this line answer: check this one's supply and address, and the cable to it",
      )
      : text(
        "依次检查：读卡器的 12 V 供电；A/B 是否接反（对调试一次）；地址；0 V 是否相连；线的终端电阻",
        "check in this order: the reader's 12 V; A and B exchanged (swap them once); its address; that the 0 V are joined; termination",
      ),
  );
}

/** It is there, and the driver could not talk to it: that is the key. */
function keyTrouble(found: FoundReader, reader: BusReader): [Text, Text] {
  if (hasKey(reader)) {
    return found.security === "key-needed"
      ? [
        text("密钥不符：读卡器用的是另一把密钥", "key mismatch: the reader has another key"),
        text(
          "填入它现有的密钥；若已丢失，把读卡器恢复出厂设置，再用 gatehouse osdp key 安装新密钥",
          "enter the key that it has; if that is lost, reset the reader to its factory state and install a new one with gatehouse osdp key",
        ),
      ]
      : [
        text(
          "box.yaml 有密钥，但读卡器里没有安装",
          "box.yaml has a key, and none is installed in the reader",
        ),
        text(
          "执行 gatehouse osdp key 把密钥装入读卡器（在工作台上单独进行）",
          "install it with gatehouse osdp key, at a bench with this reader alone",
        ),
      ];
  }
  if (!found.clearText) {
    return [
      text("读卡器要求密钥，box.yaml 里没有", "the reader wants a key, and box.yaml has none"),
      text(
        "在 box.yaml 的读卡器写 keyFile: 路径（内容为 32 位十六进制），或把读卡器恢复出厂设置",
        "write keyFile: PATH (a file of 32 hex digits) at the reader in box.yaml, or reset the reader to its factory state",
      ),
    ];
  }
  return [
    text("搜索时有应答，但通信不稳定", "it answers a search, but not steadily"),
    text(
      "检查线长、屏蔽、两端 120 Ω 终端电阻；是否有两台读卡器用同一地址",
      "check the cable's length and shield and 120 Ω at both ends; and whether two readers share one address",
    ),
  ];
}

/** A reader that only sends. */
function judgeOneWay(
  bus: TriedBus,
  reader: BusReader,
  trial: Extract<Trial, { kind: "tried" }>,
  reads: number,
): Finding {
  const subject = subjectOf(bus, reader);
  if (reads > 0) {
    return {
      check: "reader",
      subject,
      severity: "ok",
      what: text("收到一次读卡", "it was read from"),
    };
  }
  const errors = trial.lineErrors ?? 0;
  if (errors > 0 || trial.receivedBytes >= GARBAGE_BYTES_MIN) {
    return {
      check: "serial-line",
      subject,
      severity: "fault",
      what: text(
        `收到 ${trial.receivedBytes} 个字节（${
          hex(trial.sample)
        }），但不是 ${reader.driver.id} 的格式`,
        `${trial.receivedBytes} bytes came (${
          hex(trial.sample)
        }), but not as ${reader.driver.id} sends them`,
      ),
      advice: text(
        `检查波特率（现在 ${bus.baudRate}）和型号；TTL 电平与 RS-232 电平极性相反，不能直接相连`,
        `check the baud rate (${bus.baudRate} now) and the model; TTL and RS-232 levels are inverse and must not be joined directly`,
      ),
    };
  }
  return {
    check: "reader",
    subject,
    severity: "info",
    what: text("串口已打开，没有收到数据", "the port is open, and nothing came"),
    advice: text(
      "这种读卡器只在刷卡时发送：刷一张卡并再次执行 doctor",
      "such a reader sends only when it reads: present a card while doctor runs",
    ),
  };
}

/** A port that could not be opened; whether it is there and free was looked at before. */
export function refusedPort(id: string, path: string, error: HalError): Finding {
  return {
    check: "serial-port",
    subject: `${id} (${path})`,
    severity: "fault",
    what: text(`无法打开：${error.message}`, `it cannot be opened: ${error.message}`),
    advice: text(
      "检查 box.yaml 中总线的 path、baudRate 和 parity",
      "check path, baudRate and parity of the bus in box.yaml",
    ),
  };
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}
