import * as v from "valibot";
import { text } from "../language.ts";
import type { Finding } from "./finding.ts";

/** What a running box says of itself at `/healthz`, as far as it matters here. */
export interface RunningBox {
  readonly url: string;
  readonly name: string;
  readonly faults: readonly string[];
  /** Its district is reached. */
  readonly connected: boolean;
  readonly readers: readonly { readonly id: string; readonly online: boolean }[];
  readonly doors: readonly {
    readonly id: string;
    readonly mode: string;
    readonly unlocked: boolean;
    readonly open?: boolean | undefined;
    readonly alarm?: string | undefined;
  }[];
}

// What listens there may be anything: short texts, bounded lists.
const Line = v.pipe(v.string(), v.maxLength(500));
const HealthSchema = v.object({
  faults: v.pipe(v.array(Line), v.maxLength(200)),
  status: v.object({
    kind: v.literal("status"),
    name: v.pipe(v.string(), v.maxLength(64)),
    readers: v.pipe(v.array(v.object({ id: Line, online: v.boolean() })), v.maxLength(64)),
    doors: v.pipe(
      v.array(v.object({
        id: Line,
        mode: Line,
        unlocked: v.boolean(),
        open: v.optional(v.boolean()),
        alarm: v.optional(Line),
      })),
      v.maxLength(64),
    ),
  }),
  vitals: v.optional(v.object({ districtConnected: v.boolean() })),
});

/** Reads the body of `/healthz`; `undefined` when it is not a box that answered. */
export function parseHealth(url: string, raw: unknown): RunningBox | undefined {
  const health = v.safeParse(HealthSchema, raw);
  if (!health.success) return undefined;
  const { faults, status: { name, readers, doors }, vitals } = health.output;
  return { url, name, faults, connected: vitals?.districtConnected ?? false, readers, doors };
}

/** A box at work, by what it says. */
export function judgeRunning(box: RunningBox): Finding[] {
  const found: Finding = {
    check: "box-running",
    subject: box.name,
    severity: "info",
    what: text(
      `主机程序正在运行（${box.url}）：以下状态由它报告，没有打开它的设备`,
      `the box is running (${box.url}): what follows is what it says, its devices were not touched`,
    ),
    advice: text(
      "要逐一检查设备，先执行 sudo systemctl stop gatehouse-box",
      "to have its devices tried, stop it first: sudo systemctl stop gatehouse-box",
    ),
  };
  const readers = box.readers.map((reader): Finding =>
    reader.online
      ? {
        check: "reader",
        subject: reader.id,
        severity: "ok",
        what: text("在线", "online"),
      }
      : {
        check: "reader",
        subject: reader.id,
        severity: "fault",
        what: text("离线", "offline"),
        advice: text(
          "检查供电和线路；停止主机程序后再执行 doctor 可查出原因",
          "check its supply and cable; doctor finds the reason once the box is stopped",
        ),
      }
  );
  const others = box.faults.filter((fault) => !/^reader \S+ does not answer/.test(fault));
  return [
    found,
    ...readers,
    ...others.map((fault): Finding => ({
      check: "box-running",
      subject: box.name,
      severity: "warning",
      what: text(fault, fault),
    })),
  ];
}
