/** A gate whose lock, contact and button are lines of gpio-sim, its reader on a USB adapter. */
export const CONFIG = `
box: { name: east-gate, timezone: Asia/Shanghai }
api: { listen: "127.0.0.1:9180" }
buses: [{ id: bus, kind: serial, path: /dev/ttyUSB0, baudRate: 9600 }]
readers: [{ id: in, driver: osdp, bus: bus, address: 0, door: main }]
outputs: [{ id: lock, driver: gpio, chip: gate, line: 0 }]
inputs:
  - { id: contact, driver: gpio, chip: gate, line: 1, bias: pull-down }
  - { id: button, driver: gpio, chip: gate, line: 2, bias: pull-up, activeLow: true }
doors:
  - { id: main, lock: lock, kind: strike, holdMs: 1500, heldOpenMs: 60000, contact: contact, requestToExit: button }
`;
