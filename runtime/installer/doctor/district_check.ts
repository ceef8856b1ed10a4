import { text } from "../language.ts";
import type { Finding } from "./finding.ts";

/** What came of asking the district. */
export type DistrictReach =
  | {
    readonly kind: "reached";
    readonly url: string;
    /** How far this machine's clock is ahead, in ms; 0 where nothing was said. */
    readonly aheadMs: number;
  }
  | {
    /** Kinds of a failed connection; `other` comes with a message that says what to do. */
    readonly kind: "unreachable" | "tls-untrusted" | "tls-clock" | "timeout" | "revoked" | "other";
    readonly url: string;
    readonly message: string;
  };

/** Requests that differ by more are refused (`signatureSkewMsMax`); half of it is a warning. */
const AHEAD_MS_MAX = 150_000;

/** Whether the district can be reached, and whether the two agree about the time. */
export function judgeDistrict(reach: DistrictReach): Finding {
  const base = { check: "district", subject: reach.url } as const;
  switch (reach.kind) {
    case "reached": {
      const seconds = Math.round(reach.aheadMs / 1_000);
      if (Math.abs(reach.aheadMs) <= AHEAD_MS_MAX) {
        return {
          ...base,
          severity: "ok",
          what: text("连接正常，签名已验证", "it answers, and its signature holds"),
        };
      }
      return {
        ...base,
        severity: "warning",
        what: text(
          `本机时钟比区平台快 ${seconds} 秒`,
          `this clock is ${seconds} s ahead of the district's`,
        ),
        advice: text(
          "执行 timedatectl set-ntp true；主机会自行折算，但断网后的记录时间会不准",
          "run timedatectl set-ntp true; the box makes up for it, but not while it is offline",
        ),
      };
    }
    case "unreachable":
    case "timeout":
      return {
        ...base,
        severity: "fault",
        what: text("连不上区平台", "the district cannot be reached"),
        advice: text(
          "检查网线和网关（ip route）、DNS（getent hosts 主机名）、防火墙是否放行出站 TCP 443；门禁在断网时照常工作",
          "check cable and gateway (ip route), DNS (getent hosts NAME), and that the firewall lets TCP 443 out; doors work meanwhile",
        ),
      };
    case "tls-clock":
      return {
        ...base,
        severity: "fault",
        what: text(
          "证书在本机时间下无效：时钟不对",
          "its certificate is not valid at this machine's time: the clock is wrong",
        ),
        advice: text("先修正系统时间（timedatectl）", "set the time right first (timedatectl)"),
      };
    case "tls-untrusted":
      return {
        ...base,
        severity: "fault",
        what: text(
          "服务器的证书不是本主机注册的区平台",
          "the server's certificate is not that of this box's district",
        ),
        advice: text(
          "中间可能有拆解 TLS 的代理：请网管对该地址放行；若区平台重装过，重新执行 gatehouse enrol",
          "a proxy may open TLS on the way: have this address exempted; if the district was set up anew, run gatehouse enrol again",
        ),
      };
    case "revoked":
      return {
        ...base,
        severity: "fault",
        what: text("区平台已撤销本主机", "the district has withdrawn this box"),
        advice: text(
          "向区平台管理员索取新令牌，重新执行 gatehouse enrol",
          "ask the district's operator for a new token and run gatehouse enrol again",
        ),
      };
    case "other":
      return {
        ...base,
        severity: "fault",
        what: text(
          `与区平台通信失败：${reach.message}`,
          `talking to the district failed: ${reach.message}`,
        ),
        advice: text("把这条信息交给区平台管理员", "give this message to the district's operator"),
      };
    default:
      return reach satisfies never;
  }
}
