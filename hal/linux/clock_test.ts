import assert from "node:assert/strict";
import { linuxClock, processClock } from "./mod.ts";

const never = () => new AbortController().signal;

Deno.test("monotonic time is the kernel's CLOCK_MONOTONIC", async () => {
  // A machine that was never suspended: uptime (CLOCK_BOOTTIME) runs with CLOCK_MONOTONIC, and a
  // suspended one is only further behind.
  const clock = linuxClock();
  const uptimeMs = Number((await Deno.readTextFile("/proc/uptime")).split(" ")[0]) * 1e3;
  assert.ok(clock.monotonicMs() <= uptimeMs + 100);
  if (!(await suspended())) assert.ok(Math.abs(clock.monotonicMs() - uptimeMs) < 100);
  // Two instances agree: the origin is the machine's, not the instance's.
  assert.ok(Math.abs(linuxClock().monotonicMs() - clock.monotonicMs()) < 1);
});

async function suspended(): Promise<boolean> {
  const count = await Deno.readTextFile("/sys/power/suspend_stats/success").catch(() => "0");
  return Number(count) > 0;
}

Deno.test("sleep is never short, and an abort ends it with the reason", async () => {
  const clock = linuxClock();
  for (const delayMs of [0, 0.4, 1, 7.9, 20]) {
    const startMs = clock.monotonicMs();
    await clock.sleep(delayMs, never());
    const tookMs = clock.monotonicMs() - startMs;
    assert.ok(tookMs >= delayMs, `slept ${tookMs} of ${delayMs} ms`);
  }
  const abort = new AbortController();
  const startMs = clock.monotonicMs();
  const sleeping = clock.sleep(60_000, abort.signal);
  abort.abort(new Error("enough"));
  await assert.rejects(sleeping, /enough/);
  await assert.rejects(clock.sleep(60_000, abort.signal), /enough/);
  assert.ok(clock.monotonicMs() - startMs < 1_000);
});

Deno.test("a schedule can be cancelled, twice, and bears delays beyond setTimeout's", async () => {
  const clock = linuxClock();
  let fired = 0;
  const cancel = clock.schedule(1, () => fired++);
  cancel();
  cancel();
  const cancelYear = clock.schedule(365 * 86_400_000, () => fired++);
  const cancelEver = clock.schedule(Infinity, () => fired++);
  await clock.sleep(20, never());
  assert.equal(fired, 0);
  cancelYear();
  cancelEver();
  assert.throws(() => clock.schedule(NaN, () => {}), RangeError);
});

Deno.test("wall quality agrees with adjtimex as another program reads it", async () => {
  const quality = linuxClock().wallQuality();
  const python = await new Deno.Command("python3", {
    args: [
      "-c",
      "import ctypes; b=(ctypes.c_char*256)(); r=ctypes.CDLL(None).adjtimex(b); " +
      "print(r, ctypes.c_int.from_buffer(b, 40).value)",
    ],
  }).output().catch(() => undefined);
  if (python === undefined || !python.success) {
    console.log("skipped: there is no python3 to compare with");
    return;
  }
  const [result, status] = new TextDecoder().decode(python.stdout).trim().split(" ").map(Number);
  const wanted = result! >= 0 && (status! & 0x40) === 0 ? "synchronised" : "unsynchronised";
  assert.equal(quality, wanted);
});

Deno.test("a program without FFI has a clock, and an error that says what to take", async () => {
  const script = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    const mod = JSON.stringify(new URL("./mod.ts", import.meta.url).href);
    await Deno.writeTextFile(
      script,
      `import { linuxClock, processClock } from ${mod};
      const clock = processClock("unsynchronised");
      let fault: unknown;
      try { linuxClock(); } catch (error) { fault = error; }
      const { kind, message } = fault as { kind: string; message: string };
      console.log(kind, /processClock/.test(message), clock.wallQuality(), clock.monotonicMs() < 6e4);`,
    );
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--no-check", "--no-config", script],
    }).output();
    const text = new TextDecoder();
    assert.equal(
      text.decode(stdout).trim(),
      "unsupported true unsynchronised true",
      text.decode(stderr),
    );
  } finally {
    await Deno.remove(script);
  }
  assert.equal(processClock().wallQuality(), "synchronised");
});
