/**
 * A district's worth of invented people and cards, the same for the same seed.
 *
 * @module
 */
import type { Policy } from "../sync/wire/mod.ts";

/** A card as a reader would give it. */
export interface PresentedCard {
  readonly bits: number;
  readonly data: Uint8Array;
}

/** 32-bit UIDs on a multiplicative sequence: all different, none in order. */
function uid(index: number): number {
  return Math.imul(index + 1, 0x9e3779b1) >>> 0;
}

/** People with one card each, students on school hours. */
export class DistrictOfPeople {
  /** A Tuesday at eight in Shanghai. */
  readonly schoolMorningMs: number = Date.parse("2026-11-24T00:00:00Z");
  readonly #count: number;
  #random: number;

  /** `count` people; `seed` only steers {@link DistrictOfPeople.read}. */
  constructor(count: number, seed: number) {
    this.#count = count;
    this.#random = seed >>> 0;
  }

  /** The policy with all of them. */
  policy(): Policy {
    const people = Array.from({ length: this.#count }, (_, index) => index);
    return {
      schema: 1,
      holidays: [{ id: "national-day", name: "国庆节", from: "2026-10-01", to: "2026-10-07" }],
      schedules: [{
        id: "school-hours",
        name: "上课时间",
        weekly: [{
          days: ["mon", "tue", "wed", "thu", "fri"],
          intervals: [{ from: "06:30", to: "18:30" }],
        }],
        onHolidays: [],
      }],
      accessLevels: [{
        id: "student",
        name: "学生",
        grants: [{ doors: ["main", "gate", "turnstile"], schedule: "school-hours" }],
      }],
      cardholders: people.map((index) => ({
        id: index + 1,
        name: `学生${index + 1}`,
        accessLevels: ["student"],
        active: true,
      })),
      credentials: people.map((index) => ({
        id: index + 1,
        cardholder: index + 1,
        bits: 32,
        hex: uid(index).toString(16).padStart(8, "0"),
        active: true,
      })),
    };
  }

  /** A card of one of them at random, or one of nobody's. */
  read(stranger: boolean): PresentedCard {
    this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0;
    const index = Math.floor(this.#random / 2 ** 32 * this.#count);
    const data = new Uint8Array(4);
    // Indices past the last person give cards that nobody holds.
    new DataView(data.buffer).setUint32(0, uid(stranger ? this.#count + index : index));
    return { bits: 32, data };
  }
}
