import assert from "node:assert/strict";
import { linuxClock, linuxGpioHost } from "./mod.ts";
import {
  encodeLineRequest,
  encodeLineValues,
  GPIO_EVENTS_MAX,
  GPIO_FLAG,
  GPIO_IOCTL,
  GPIO_LAYOUT,
} from "./gpio_abi.ts";
import { encodeRs485, encodeTermios2 } from "./termios.ts";
import type { GpioSettings, SerialSettings } from "../mod.ts";

const input: GpioSettings = {
  chip: "gpiochip0",
  line: 23,
  direction: "input",
  activeLow: true,
  bias: "pull-up",
  debounceMs: 12.5,
};
const output: GpioSettings = { chip: "gpiochip0", line: 5, direction: "output", initial: true };
const serial: SerialSettings = { path: "x", baudRate: 250_000, parity: "odd", stopBits: 2 };
const rs485 = { rtsOnSend: true, delayBeforeSendMs: 3, delayAfterSendMs: 7 };

const C = `
#include <stdio.h>
#include <stddef.h>
#include <string.h>
#include <asm/termbits.h>
#include <linux/gpio.h>
#include <linux/serial.h>
#define OFFSET(s, f) printf("%zu\\n", offsetof(struct s, f))
#define SIZE(s) printf("%zu\\n", sizeof(struct s))
static void dump(const void *p, size_t n) {
  for (size_t i = 0; i < n; i++) printf("%02x", ((const unsigned char *)p)[i]);
  printf("\\n");
}
int main(void) {
  printf("%lu %lu %lu %lu\\n", (unsigned long)GPIO_GET_CHIPINFO_IOCTL, (unsigned long)GPIO_V2_GET_LINE_IOCTL,
    (unsigned long)GPIO_V2_LINE_GET_VALUES_IOCTL, (unsigned long)GPIO_V2_LINE_SET_VALUES_IOCTL);
  printf("%d %d %d %d %d %d %d %d\\n", GPIO_V2_LINE_FLAG_ACTIVE_LOW, GPIO_V2_LINE_FLAG_INPUT, GPIO_V2_LINE_FLAG_OUTPUT,
    GPIO_V2_LINE_FLAG_EDGE_RISING, GPIO_V2_LINE_FLAG_EDGE_FALLING, GPIO_V2_LINE_FLAG_BIAS_PULL_UP,
    GPIO_V2_LINE_FLAG_BIAS_PULL_DOWN, GPIO_V2_LINE_FLAG_BIAS_DISABLED);
  printf("%zu %zu %zu\\n", sizeof(struct gpiochip_info), offsetof(struct gpiochip_info, label), offsetof(struct gpiochip_info, lines));
  printf("%zu %zu %zu %zu %zu %zu %d\\n", sizeof(struct gpio_v2_line_event), offsetof(struct gpio_v2_line_event, timestamp_ns),
    offsetof(struct gpio_v2_line_event, id), offsetof(struct gpio_v2_line_event, offset),
    offsetof(struct gpio_v2_line_event, seqno), offsetof(struct gpio_v2_line_event, line_seqno), GPIO_V2_LINE_EVENT_RISING_EDGE);
  printf("%zu\\n", offsetof(struct gpio_v2_line_request, fd));
  struct gpio_v2_line_request r;
  memset(&r, 0, sizeof r);
  r.offsets[0] = 23; strcpy(r.consumer, "gatehouse"); r.num_lines = 1; r.event_buffer_size = 1024;
  r.config.flags = GPIO_V2_LINE_FLAG_INPUT | GPIO_V2_LINE_FLAG_EDGE_RISING | GPIO_V2_LINE_FLAG_EDGE_FALLING |
    GPIO_V2_LINE_FLAG_ACTIVE_LOW | GPIO_V2_LINE_FLAG_BIAS_PULL_UP;
  r.config.num_attrs = 1; r.config.attrs[0].attr.id = GPIO_V2_LINE_ATTR_ID_DEBOUNCE;
  r.config.attrs[0].attr.debounce_period_us = 12500; r.config.attrs[0].mask = 1;
  dump(&r, sizeof r);
  memset(&r, 0, sizeof r);
  r.offsets[0] = 5; strcpy(r.consumer, "gatehouse"); r.num_lines = 1;
  r.config.flags = GPIO_V2_LINE_FLAG_OUTPUT;
  r.config.num_attrs = 1; r.config.attrs[0].attr.id = GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES;
  r.config.attrs[0].attr.values = 1; r.config.attrs[0].mask = 1;
  dump(&r, sizeof r);
  struct gpio_v2_line_values v;
  memset(&v, 0, sizeof v); v.bits = 1; v.mask = 1;
  dump(&v, sizeof v);
  struct termios2 t;
  memset(&t, 0, sizeof t);
  t.c_iflag = IGNBRK | INPCK | IGNPAR; t.c_cflag = BOTHER | CREAD | CLOCAL | CS8 | CSTOPB | PARENB | PARODD;
  t.c_cc[VMIN] = 1; t.c_ispeed = t.c_ospeed = 250000;
  dump(&t, sizeof t);
  struct serial_rs485 s;
  memset(&s, 0, sizeof s);
  s.flags = SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND; s.delay_rts_before_send = 3; s.delay_rts_after_send = 7;
  dump(&s, sizeof s);
  return 0;
}`;

const hex = (bytes: Uint8Array) =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

Deno.test("structures and numbers are those of this machine's C headers", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${dir}/abi.c`, C);
    const gcc = await new Deno.Command("gcc", { args: ["-o", `${dir}/abi`, `${dir}/abi.c`] })
      .output().catch(() => undefined);
    if (gcc === undefined) {
      console.log("skipped: there is no gcc to compare with");
      return;
    }
    assert.ok(gcc.success, new TextDecoder().decode(gcc.stderr));
    const { stdout } = await new Deno.Command(`${dir}/abi`).output();
    const { chipInfo, lineEvent, lineRequest } = GPIO_LAYOUT;
    const { input: flagInput, output: flagOutput, ...flag } = GPIO_FLAG;
    const { timestampNs, id, offset, seqno, lineSeqno } = lineEvent;
    assert.deepEqual(new TextDecoder().decode(stdout).trim().split("\n"), [
      Object.values(GPIO_IOCTL).join(" "),
      [
        flag.activeLow,
        flagInput,
        flagOutput,
        flag.edgeRising,
        flag.edgeFalling,
        flag.biasPullUp,
        flag.biasPullDown,
        flag.biasDisabled,
      ].join(" "),
      `${chipInfo.bytes} ${chipInfo.label} ${chipInfo.lines}`,
      [lineEvent.bytes, timestampNs, id, offset, seqno, lineSeqno, 1].join(" "),
      String(lineRequest.fd),
      hex(encodeLineRequest(input)),
      hex(encodeLineRequest(output)),
      hex(encodeLineValues(true)),
      hex(encodeTermios2(serial)),
      hex(encodeRs485(rs485)),
    ]);
    assert.equal(GPIO_EVENTS_MAX, 1_024);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("lines that cannot be had are refused by kind", async () => {
  const host = linuxGpioHost(linuxClock());
  const request = (settings: object) =>
    host.request({ ...output, ...settings } as GpioSettings, new AbortController().signal);
  await assert.rejects(request({ chip: "gpiochip999" }), { kind: "not-found" });
  await assert.rejects(request({ chip: "no such label" }), { kind: "not-found", name: "HalError" });
  await assert.rejects(request({ chip: "../null" }), { kind: "not-found" });
  for (const line of [-1, 1.5, NaN, 2 ** 32]) {
    await assert.rejects(request({ line }), { kind: "invalid" });
  }
  for (const debounceMs of [-1, NaN, Infinity]) {
    await assert.rejects(request({ debounceMs }), { kind: "invalid" });
  }
  const aborted = AbortSignal.abort(new Error("too late"));
  await assert.rejects(host.request(output, aborted), /too late/);
});
