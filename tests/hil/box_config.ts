/**
 * A gate whose lock, contact and button are lines of gpio-sim; a reader inside on a USB adapter, one
 * outside on two lines, one at a desk that types. The simulator needs bits 40 ms apart, and keys come
 * late on a busy machine, so that silence is longer for both; the guard is more patient as well.
 */
export const CONFIG = `
box: { name: east-gate, timezone: Asia/Shanghai }
api: { listen: "127.0.0.1:9180" }
guard: { heartbeatMs: 5000 }
buses: [{ id: bus, kind: serial, path: /dev/ttyUSB0, baudRate: 9600 }]
readers:
  - { id: in, driver: osdp, bus: bus, address: 0, door: main }
  - { id: out, driver: wiegand, chip: gate, data0: 4, data1: 5, frameGapMs: 100, bits: [26, 32], door: main }
  - { id: desk, driver: hid-keyboard, vendorId: 0x0627, productId: 0x0001, keyGapMs: 3000, door: main }
outputs: [{ id: lock, driver: gpio, chip: gate, line: 0 }]
inputs:
  - { id: contact, driver: gpio, chip: gate, line: 1, bias: pull-down }
  - { id: button, driver: gpio, chip: gate, line: 2, bias: pull-up, activeLow: true }
doors:
  - { id: main, lock: lock, kind: strike, holdMs: 1500, heldOpenMs: 60000, contact: contact, requestToExit: button }
`;
