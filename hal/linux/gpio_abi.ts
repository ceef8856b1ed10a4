/**
 * The GPIO character device, version 2 (`linux/gpio.h`), byte for byte. The layouts and numbers are
 * the same on x64 and arm64; the test compares them with what the C compiler says.
 *
 * @module
 */
import type { GpioSettings } from "../gpio.ts";

/** ioctl numbers. */
export const GPIO_IOCTL = {
  chipInfo: 0x8044b401,
  getLine: 0xc250b407,
  getValues: 0xc010b40e,
  setValues: 0xc010b40f,
} as const;

/** `GPIO_V2_LINE_FLAG_*`. */
export const GPIO_FLAG = {
  activeLow: 1 << 1,
  input: 1 << 2,
  output: 1 << 3,
  edgeRising: 1 << 4,
  edgeFalling: 1 << 5,
  biasPullUp: 1 << 8,
  biasPullDown: 1 << 9,
  biasDisabled: 1 << 10,
} as const;

/** `GPIO_V2_LINE_ATTR_ID_*`. */
export const GPIO_ATTRIBUTE = { outputValues: 2, debounce: 3 } as const;
/** `GPIO_V2_LINE_EVENT_RISING_EDGE`: an active-low line's rising edge is already a falling voltage. */
export const GPIO_EVENT_RISING = 1;

/** Sizes and offsets, named after the C structures. */
export const GPIO_LAYOUT = {
  chipInfo: { bytes: 68, label: 32, labelBytes: 32, lines: 64 },
  lineRequest: {
    bytes: 592,
    consumer: 256,
    config: 288,
    numLines: 560,
    eventBufferSize: 564,
    fd: 588,
  },
  lineConfig: { flags: 0, numAttrs: 8, attrs: 32 },
  attribute: { bytes: 24, id: 0, value: 8, mask: 16 },
  lineEvent: { bytes: 48, timestampNs: 0, id: 8, offset: 12, seqno: 16, lineSeqno: 20 },
  lineValues: { bytes: 16, bits: 0, mask: 8 },
} as const;

/** Edges that the kernel holds for a line; its default of 16 is lost in one burst of bounces. */
export const GPIO_EVENTS_MAX = 1_024;

const CONSUMER = new TextEncoder().encode("gatehouse");

/** `gpio_v2_line_flag` bits of `settings`. Inputs always report both edges. */
export function gpioFlags(settings: GpioSettings): number {
  const { direction, activeLow = false, bias = "as-is" } = settings;
  const { edgeRising, edgeFalling } = GPIO_FLAG;
  return (activeLow ? GPIO_FLAG.activeLow : 0) |
    (direction === "input" ? GPIO_FLAG.input | edgeRising | edgeFalling : GPIO_FLAG.output) |
    {
      "as-is": 0,
      "disabled": GPIO_FLAG.biasDisabled,
      "pull-up": GPIO_FLAG.biasPullUp,
      "pull-down": GPIO_FLAG.biasPullDown,
    }[bias];
}

/** `struct gpio_v2_line_request` for one line. */
export function encodeLineRequest(settings: GpioSettings): Uint8Array<ArrayBuffer> {
  const { line, direction, initial = false, debounceMs = 0 } = settings;
  const { lineRequest, lineConfig, attribute } = GPIO_LAYOUT;
  const bytes = new Uint8Array(lineRequest.bytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, line, true);
  bytes.set(CONSUMER, lineRequest.consumer);
  const flagsAt = lineRequest.config + lineConfig.flags;
  view.setBigUint64(flagsAt, BigInt(gpioFlags(settings)), true);
  view.setUint32(lineRequest.numLines, 1, true);
  const attributeAt = lineRequest.config + lineConfig.attrs;
  const setAttribute = (id: number) => {
    view.setUint32(lineRequest.config + lineConfig.numAttrs, 1, true);
    view.setUint32(attributeAt + attribute.id, id, true);
    // Bit 0: the attribute is for the request's first line, the only one.
    view.setBigUint64(attributeAt + attribute.mask, 1n, true);
  };
  if (direction === "output") {
    setAttribute(GPIO_ATTRIBUTE.outputValues);
    view.setBigUint64(attributeAt + attribute.value, initial ? 1n : 0n, true);
  } else {
    view.setUint32(lineRequest.eventBufferSize, GPIO_EVENTS_MAX, true);
    if (debounceMs > 0) {
      setAttribute(GPIO_ATTRIBUTE.debounce);
      view.setUint32(attributeAt + attribute.value, Math.round(debounceMs * 1_000), true);
    }
  }
  return bytes;
}

/** `struct gpio_v2_line_values` for the request's only line. */
export function encodeLineValues(active: boolean): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(GPIO_LAYOUT.lineValues.bytes);
  bytes[GPIO_LAYOUT.lineValues.bits] = active ? 1 : 0;
  bytes[GPIO_LAYOUT.lineValues.mask] = 1;
  return bytes;
}
