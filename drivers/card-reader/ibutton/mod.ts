/**
 * iButtons at a contact on the kernel's 1-Wire bus.
 *
 * @module
 */
import * as v from "valibot";
import { defineDriver, type ReaderDriver } from "../../contract.ts";
import { IBUTTON_ENTRIES, type IbuttonOptions, presentButton } from "../../ibutton_options.ts";
import { OneWayReader } from "../../one_way_reader.ts";

const busMessage = "expected a 1-Wire bus such as w1_bus_master1";

const IbuttonSchema = v.strictObject({
  /** The kernel's bus, as in `/sys/bus/w1/devices`. */
  oneWireBus: v.optional(
    v.pipe(v.string(busMessage), v.regex(/^w1_bus_master\d{1,3}$/, busMessage)),
    "w1_bus_master1",
  ),
  ...IBUTTON_ENTRIES,
});

/** Options of one contact on a bus of the kernel's. */
export interface KernelIbuttonOptions extends IbuttonOptions {
  readonly oneWireBus: string;
}

/** A bus with more devices than this is no contact for buttons. */
const DEVICES_MAX = 64;

/** iButtons on the kernel's 1-Wire bus: each touch is a card of 64 bits, or of 48. */
export const ibutton: ReaderDriver<KernelIbuttonOptions> = defineDriver({
  id: "ibutton",
  kind: "card-reader",
  bus: "one-wire",
  reference:
    "Maxim application note 937 (Book of iButton Standards), ROM codes; Linux w1 subsystem",
  optionsSchema: IbuttonSchema,
  parseOptions: (raw: unknown): KernelIbuttonOptions => v.parse(IbuttonSchema, raw),
  open: ({ oneWire, clock, log }, options: KernelIbuttonOptions, signal) =>
    OneWayReader.open("an iButton contact", { clock, log }, async (reader, end) => {
      for (;;) {
        const codes = await oneWire.search(options.oneWireBus, end);
        const nowMs = clock.monotonicMs();
        reader.up();
        for (const code of codes.slice(0, DEVICES_MAX)) {
          if (!presentButton(reader, code, options, nowMs)) {
            reader.limited.warn("a 1-Wire device has a wrong code; look for a bad contact");
          }
        }
        await clock.sleep(options.pollMs, end);
      }
    }, signal),
});
