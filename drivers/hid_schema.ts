import * as v from "valibot";

const idMessage = "expected a USB id such as 0x08ff, 0 to 0xffff";

/** A USB vendor or product id; YAML reads `0x08ff` as a number. */
export const UsbIdSchema = v.pipe(
  v.number(idMessage),
  v.integer(idMessage),
  v.minValue(0, idMessage),
  v.maxValue(0xffff, idMessage),
);

/** A USB serial number, as `lsusb -v` shows it. */
export const UsbSerialSchema = v.optional(
  v.pipe(
    v.string("expected the serial number as text, in quotes"),
    v.minLength(1, "expected the serial number as text"),
    // A string descriptor of USB has no room for more.
    v.maxLength(126, "expected a serial number of at most 126 characters"),
  ),
);

/** Number of a USB interface. */
export const UsbInterfaceSchema = v.optional(
  v.pipe(
    v.number("expected the number of a USB interface, from 0"),
    v.integer("expected the number of a USB interface, from 0"),
    v.minValue(0, "expected the number of a USB interface, from 0"),
    v.maxValue(255, "expected the number of a USB interface, at most 255"),
  ),
);
