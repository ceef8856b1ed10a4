/**
 * Listens to USB readers that type. Only to those that an installer has named: a keyboard that is
 * taken is one that nobody can type on.
 *
 * @module
 */
import type { DeviceHost, ReaderDriver } from "../../../drivers/contract.ts";
import { HalError, type HidIdentity } from "../../../hal/mod.ts";
import type { AnyDriver } from "../../config/mod.ts";
import { text } from "../language.ts";
import type { PlainOptions, ReaderPlace, Sighting } from "./sighting.ts";

/** Usage page and usage of a keyboard (HID Usage Tables 1.12, §4). */
const DESKTOP_PAGE = 1;
const KEYBOARD = 6;

/** Devices that type: readers, and keyboards. */
export function typingDevices(devices: readonly HidIdentity[]): readonly HidIdentity[] {
  return devices.filter((one) => one.usagePage === DESKTOP_PAGE && one.usage === KEYBOARD);
}

/** What the device calls itself. */
export function hidName({ vendorId, productId, manufacturer, product }: HidIdentity): string {
  const hex = (value: number) => value.toString(16).padStart(4, "0");
  const name = [manufacturer, product].filter((part) => part !== undefined && part !== "").join(
    " ",
  );
  return `${hex(vendorId)}:${hex(productId)} ${name}`.trim();
}

/** Follows `device` with each driver that needs to know no more than which it is, until `signal` aborts. */
export async function watchHid(
  device: HidIdentity,
  drivers: readonly AnyDriver[],
  host: DeviceHost,
  tell: (sighting: Sighting) => void,
  signal: AbortSignal,
): Promise<void> {
  const { vendorId, productId, serialNumber } = device;
  const options: PlainOptions = {
    vendorId,
    productId,
    ...(serialNumber === undefined || serialNumber === "" ? {} : { serialNumber }),
  };
  for (const driver of drivers) {
    if (driver.kind !== "card-reader" || driver.bus !== "hid") continue;
    const parsed = parsedBy(driver, options);
    if (parsed === undefined) continue;
    try {
      await using reader = await driver.open(host, parsed, signal);
      const place: ReaderPlace = { on: "own", driver: driver.id, options };
      reader.onEvent((event) => {
        if (event.kind !== "card") return;
        tell({ kind: "card", places: [place], bits: event.bits, data: event.data });
      });
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener("abort", () => resolve(), { once: true });
      });
      return;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof HalError)) throw error;
      tell({ kind: "note", note: text(error.message, error.message) });
      return;
    }
  }
}

function parsedBy(driver: ReaderDriver<unknown>, options: PlainOptions): unknown {
  try {
    return driver.parseOptions(options);
  } catch {
    // It has to be told more than which device it is.
    return undefined;
  }
}
