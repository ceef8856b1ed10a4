import assert from "node:assert/strict";
import { HalError } from "../mod.ts";
import { memorySerialLine } from "./memory_serial_line.ts";
import { parseTrace, playbackSerial, recordSerial, TraceError } from "./serial_trace.ts";
import { VirtualClock } from "./virtual_clock.ts";

const never = () => new AbortController().signal;
const bytes = (...values: number[]) => Uint8Array.from(values);
const trace = `# gatehouse serial trace 1
# a comment

+0 > 01 02 03
+5 < 0a
+2.5 < 0B 0c   # two at once
+1 > 04
`;

Deno.test("a conversation that is repeated as recorded plays to its end", async () => {
  const clock = new VirtualClock();
  await using playback = playbackSerial(trace, clock);
  const reading = (async () => [await playback.read(never()), await playback.read(never())])();
  await clock.advance(100);
  assert.equal(playback.leftSteps(), 4);
  await playback.write(bytes(1), never());
  await playback.write(bytes(2, 3), never());
  await clock.advance(10);
  assert.deepEqual(await reading, [
    { bytes: bytes(10), receivedMonotonicMs: 105 },
    { bytes: bytes(11, 12), receivedMonotonicMs: 107.5 },
  ]);
  await playback.write(bytes(4), never());
  assert.equal(playback.leftSteps(), 0);
});

Deno.test("leftovers fail at disposal, once", async () => {
  const playback = playbackSerial(trace, new VirtualClock());
  await playback.write(bytes(1, 2, 3), never());
  await assert.rejects(async () => await playback[Symbol.asyncDispose](), {
    name: "TraceError",
    message: /line 5: 3 steps were left, the first < 0a/,
  });
  await playback[Symbol.asyncDispose]();
  await assert.rejects(playback.read(never()), HalError);
});

Deno.test("an unexpected write fails at once, and at disposal even if it was caught", async () => {
  const cases: [Uint8Array, RegExp][] = [
    [bytes(1, 9), /line 4: expected 01 02 03, at its byte 1; got 01 09, at its byte 1/],
    [bytes(1, 2, 3, 4), /line 5: expected the device to send 0a first/],
  ];
  for (const [written, message] of cases) {
    const playback = playbackSerial(trace, new VirtualClock());
    await assert.rejects(playback.write(written, never()), { name: "TraceError", message });
    await assert.rejects(async () => await playback[Symbol.asyncDispose](), { message });
  }
  const over = playbackSerial("# gatehouse serial trace 1\n+0 > 01\n", new VirtualClock());
  await over.write(bytes(1), never());
  await assert.rejects(over.write(bytes(1), never()), /after the last line: expected nothing/);
});

Deno.test("a read that is aborted takes no step", async () => {
  const clock = new VirtualClock();
  const playback = playbackSerial(trace, clock);
  await playback.write(bytes(1, 2, 3), never());
  const abort = new AbortController();
  const reading = assert.rejects(playback.read(abort.signal), /enough/);
  abort.abort(new Error("enough"));
  await reading;
  const again = playback.read(never());
  await clock.advance(5);
  assert.deepEqual((await again).bytes, bytes(10));
});

Deno.test("what is recorded can be played", async () => {
  const clock = new VirtualClock();
  const { a, b } = memorySerialLine(clock);
  const lines: string[] = [];
  const port = recordSerial(a, clock, (line) => lines.push(line));
  await clock.advance(3);
  await port.write(bytes(1, 2), never());
  const reading = port.read(never());
  await clock.advance(4.25);
  await b.write(bytes(255), never());
  await reading;
  assert.deepEqual(lines, [
    "# gatehouse serial trace 1",
    "# memory, 9600 baud",
    "+3.000 > 01 02",
    "+4.250 < ff",
  ]);
  await using playback = playbackSerial(lines.join("\n"), clock);
  await playback.write(bytes(1, 2), never());
  const answer = playback.read(never());
  await clock.advance(5);
  assert.deepEqual((await answer).bytes, bytes(255));
});

Deno.test("a trace that cannot be read names its line", () => {
  const head = "# gatehouse serial trace 1\n";
  for (const line of ["> 01", "+1 > ", "+1 > 1", "+1 > 0102", "+-1 > 01", "+1 = 01", "x"]) {
    assert.throws(() => parseTrace(`${head}\n${line}`), (error) => {
      assert.ok(error instanceof TraceError);
      assert.match(error.message, /^line 3:/);
      return true;
    });
  }
  assert.throws(() => parseTrace("+0 > 01"), /line 1/);
});
