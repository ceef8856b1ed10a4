/**
 * The demo's school: invented people, what they may do, and how they arrive on a morning.
 *
 * @module
 */
import type { PolicySettings } from "../district/api/types.ts";

/** One person who comes to the gate. */
export interface Arrival {
  /** Name, or `undefined` for a card that nobody knows. */
  readonly name: string | undefined;
  /** 32-bit UID as hex. */
  readonly hex: string;
  /** What the policy must say about this card at any hour. */
  readonly outcome: "granted" | "outside-schedule" | "no-access-here" | "unknown-card";
}

const SURNAMES = [..."王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"];
const GIVEN = [
  ..."子涵梓轩欣怡浩然雨桐宇航思远佳琪明哲诗涵俊杰雅婷博文若曦天佑语嫣一诺",
];

/** Share of each kind of person, in percent; the rest are ordinary students. */
const EVENING_PERCENT = 4;
const OTHER_CAMPUS_PERCENT = 3;
const STRANGER_PERCENT = 5;

/** Access levels and hours of the school. */
export const SCHOOL_SETTINGS: PolicySettings = {
  holidays: [{ id: "new-year", name: "元旦", from: "2099-01-01", to: "2099-01-03" }],
  schedules: [
    {
      id: "demo-day",
      name: "演示全天",
      weekly: [{
        days: ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        intervals: [{ from: "00:00", to: "24:00" }],
      }],
      onHolidays: [],
    },
    { id: "evening-class", name: "晚课（本学期未开）", weekly: [], onHolidays: [] },
  ],
  accessLevels: [
    { id: "student", name: "学生", grants: [{ doors: ["east-gate/*"], schedule: "demo-day" }] },
    {
      id: "evening",
      name: "晚课学生",
      grants: [{ doors: ["east-gate/*"], schedule: "evening-class" }],
    },
    { id: "west-campus", name: "西校区", grants: [{ doors: ["west-gate/*"], schedule: "always" }] },
  ],
};

/** A school of `count` students; the same seed makes the same school and the same morning. */
export class School {
  readonly #students: Arrival[];
  #random: number;

  /** Invents everybody. */
  constructor(count: number, seed: number) {
    this.#random = seed >>> 0;
    this.#students = Array.from({ length: count }, (_, index) => ({
      name: this.#pick(SURNAMES) + this.#pick(GIVEN) + this.#pick(GIVEN),
      hex: this.#uid(index),
      outcome: this.#outcome(),
    }));
  }

  /** Everybody as the district's import takes them. */
  csv(): string {
    const level = {
      granted: "student",
      "outside-schedule": "evening",
      "no-access-here": "west-campus",
    };
    const rows = this.#students.map(({ name, hex, outcome }, index) =>
      [`2026${String(index + 1).padStart(4, "0")}`, name, 32, hex, level[outcome as "granted"]]
        .join(",")
    );
    return ["number,name,bits,hex,access levels", ...rows].join("\r\n") + "\r\n";
  }

  /** Who comes next: somebody at random, now and then a stranger. */
  next(): Arrival {
    if (this.random() * 100 >= STRANGER_PERCENT) return this.#pick(this.#students);
    const hex = this.#uid(this.#students.length + Math.floor(this.random() * 1e6));
    return { name: undefined, hex, outcome: "unknown-card" };
  }

  /** Uniform in [0, 1), from the seed. */
  random(): number {
    this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0;
    return this.#random / 2 ** 32;
  }

  #pick<T>(of: readonly T[]): T {
    return of[Math.floor(this.random() * of.length)]!;
  }

  /** A multiplicative sequence: all different, none in order. */
  #uid(index: number): string {
    return (Math.imul(index + 1, 0x9e3779b1) >>> 0).toString(16).padStart(8, "0");
  }

  #outcome(): Arrival["outcome"] {
    const percent = this.random() * 100;
    if (percent < EVENING_PERCENT) return "outside-schedule";
    return percent < EVENING_PERCENT + OTHER_CAMPUS_PERCENT ? "no-access-here" : "granted";
  }
}
