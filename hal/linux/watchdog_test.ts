import assert from "node:assert/strict";
import { linuxWatchdogHost } from "./mod.ts";

// A real one, and its reset, are tested in tests/hil: whoever opens one arms it.

const host = linuxWatchdogHost();
const never = () => new AbortController().signal;

Deno.test("what cannot be armed is refused by kind, and not written to", async () => {
  const open = (path: string, timeoutMs = 10_000) => host.open({ path, timeoutMs }, never());
  await assert.rejects(open("/dev/watchdog999"), {
    kind: "not-found",
    message: /leave watchdog out/,
  });
  await assert.rejects(open("/dev/null"), { kind: "invalid", message: /this is none/ });
  const file = await Deno.makeTempFile();
  try {
    await assert.rejects(open(file), { kind: "invalid" });
    assert.equal(Deno.readTextFileSync(file), "", "a slip in box.yaml harms no file");
  } finally {
    await Deno.remove(file);
  }
  for (const timeoutMs of [0, 999, NaN, Infinity, 3_600_001]) {
    await assert.rejects(open("/dev/null", timeoutMs), {
      kind: "invalid",
      message: /expected 1000/,
    });
  }
  const aborted = AbortSignal.abort(new Error("too late"));
  await assert.rejects(host.open({ path: "/dev/null", timeoutMs: 10_000 }, aborted), /too late/);
});
