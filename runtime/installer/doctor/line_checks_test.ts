import assert from "node:assert/strict";
import type { GpioSettings } from "../../../hal/mod.ts";
import { VirtualClock, VirtualGpio } from "../../../hal/sim/mod.ts";
import { type InputRole, judgeInput, judgeWiegand, observeLine } from "./line_checks.ts";

const CHIP = "gpiochip0";
const WATCH_MS = 3_000;
const signal = new AbortController().signal;

function rig() {
  const clock = new VirtualClock();
  const gpio = new VirtualGpio(clock);
  const settings = (line: number, more: Partial<GpioSettings> = {}): GpioSettings => ({
    chip: CHIP,
    line,
    direction: "input",
    bias: "pull-up",
    ...more,
  });
  /** Watches the lines while `act` moves them. */
  const watch = async (lines: readonly GpioSettings[], act = async () => {}) => {
    const watched = Promise.all(lines.map((s) => observeLine(gpio, s, clock, WATCH_MS, signal)));
    await clock.advance(0);
    await act();
    await clock.advance(WATCH_MS);
    return await watched;
  };
  const input = async (
    role: InputRole,
    more: Partial<GpioSettings>,
    act?: () => Promise<void>,
  ) => {
    const line = settings(17, more);
    const [observed] = await watch([line], act);
    return judgeInput("in", role, line, observed!, WATCH_MS);
  };
  return { clock, gpio, settings, watch, input };
}

Deno.test("an input at rest and one that reacts are good", async () => {
  const { gpio, clock, input } = rig();
  const rest = await input("contact", { activeLow: true });
  assert.deepEqual([rest.severity, rest.what.en], ["ok", "at rest, not active"]);
  const reacts = await input("contact", { activeLow: true }, async () => {
    gpio.setLevel(CHIP, 17, false);
    await clock.advance(100);
    gpio.setLevel(CHIP, 17, true);
  });
  assert.deepEqual([reacts.severity, reacts.what.en], ["ok", "it reacts (2 changes)"]);
});

Deno.test("a stuck input is told by what it is for", async () => {
  const { input } = rig();
  const severities: [InputRole, string, RegExp][] = [
    ["release", "fault", /every door is unlocked/],
    ["request-to-exit", "warning", /pressed all the time/],
    ["contact", "warning", /door is open/],
    ["other", "info", /active all the time/],
  ];
  for (const [role, severity, what] of severities) {
    const finding = await input(role, { activeLow: false });
    assert.equal(finding.severity, severity);
    assert.match(finding.what.en, what);
    assert.match(finding.advice!.en, /activeLow: true/);
  }
});

Deno.test("a loop that is closed in peace is good while it is active, and a fault when it is cut", async () => {
  const { input } = rig();
  const closed = await input("release-loop", { activeLow: false });
  assert.deepEqual([closed.severity, closed.what.en], ["ok", "the loop is closed"]);
  const cut = await input("release-loop", { activeLow: true });
  assert.equal(cut.severity, "fault");
  assert.match(cut.what.en, /every door is unlocked/);
});

Deno.test("an input that never settles floats", async () => {
  const { gpio, clock, input } = rig();
  const finding = await input("contact", { bias: "as-is" }, async () => {
    for (let i = 0; i < 60; i++) {
      gpio.setLevel(CHIP, 17, i % 2 === 0);
      await clock.advance(20);
    }
  });
  assert.equal(finding.severity, "fault");
  assert.match(finding.advice!.en, /bias: pull-up/);
});

Deno.test("a line that is held is told, and what was taken is let go", async () => {
  const { gpio, settings, watch } = rig();
  const [seen] = await watch([settings(4)]);
  assert.equal(seen!.kind, "seen");
  await using _held = await gpio.request(settings(4), signal);
  const [busy] = await watch([settings(4)]);
  const finding = judgeInput("in", "other", settings(4), busy!, WATCH_MS);
  assert.equal(finding.check, "gpio-line");
  assert.match(finding.advice!.en, /gpioinfo/);
});

Deno.test("Wiegand lines: good, one short, both low, inverted", async () => {
  const { gpio, clock, settings, watch } = rig();
  const lines = [settings(14), settings(15)] as const;
  const judge = async (levels: [boolean, boolean], pulses: boolean) => {
    gpio.setLevel(CHIP, 14, levels[0]);
    gpio.setLevel(CHIP, 15, levels[1]);
    const [d0, d1] = await watch(lines, async () => {
      for (let bit = 0; pulses && bit < 26; bit++) {
        const line = 14 + bit % 2;
        gpio.setLevel(CHIP, line, !levels[bit % 2]);
        await clock.advance(0.1);
        gpio.setLevel(CHIP, line, levels[bit % 2]!);
        await clock.advance(2);
      }
    });
    return judgeWiegand("reader", lines, [d0!, d1!]);
  };
  const good = await judge([true, true], true);
  assert.deepEqual([good.severity, good.what.en], ["ok", "the lines are good, 26 pulses came"]);
  assert.match((await judge([false, true], false)).what.en, /^D0 rests low/);
  assert.match((await judge([true, false], false)).advice!.en, /white wire/);
  assert.match((await judge([false, false], false)).advice!.en, /reader's supply/);
  assert.match((await judge([false, false], true)).what.en, /polarity is inverted/);
});
