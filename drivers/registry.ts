/**
 * The one explicit list of drivers. A new device is one folder and one line here.
 *
 * @module
 */
import { em4100Ascii } from "./card-reader/em4100-ascii/mod.ts";
import { hidKeyboard } from "./card-reader/hid-keyboard/mod.ts";
import { hidRaw } from "./card-reader/hid-raw/mod.ts";
import { ibuttonDs2480b } from "./card-reader/ibutton-ds2480b/mod.ts";
import { ibutton } from "./card-reader/ibutton/mod.ts";
import { idCard } from "./card-reader/id-card/mod.ts";
import { iso14443Serial } from "./card-reader/iso14443-serial/mod.ts";
import { iso15693Pad } from "./card-reader/iso15693-pad/mod.ts";
import { osdp } from "./card-reader/osdp/mod.ts";
import { qrScanner } from "./card-reader/qr-scanner/mod.ts";
import { pcsc } from "./card-reader/pcsc/mod.ts";
import { wiegand } from "./card-reader/wiegand/mod.ts";
import { firmata } from "./expander/firmata/mod.ts";
import { modbus } from "./expander/modbus/mod.ts";
import { dualContactInput } from "./input/dual-contact/mod.ts";
import { gpioInput } from "./input/gpio/mod.ts";
import { supervisedInput } from "./input/supervised/mod.ts";
import { gpioOutput } from "./output/gpio/mod.ts";
import { batonSerial } from "./patrol-baton/baton-serial/mod.ts";
import { ds18b20 } from "./sensor/ds18b20/mod.ts";
import { photoresistor } from "./sensor/photoresistor/mod.ts";
import { thermistor } from "./sensor/thermistor/mod.ts";

/** Every driver of this build. */
export const DRIVERS = [
  osdp,
  wiegand,
  em4100Ascii,
  iso14443Serial,
  iso15693Pad,
  idCard,
  hidKeyboard,
  hidRaw,
  qrScanner,
  modbus,
  pcsc,
  ibutton,
  ibuttonDs2480b,
  firmata,
  gpioOutput,
  gpioInput,
  batonSerial,
  supervisedInput,
  dualContactInput,
  thermistor,
  photoresistor,
  ds18b20,
] as const;
