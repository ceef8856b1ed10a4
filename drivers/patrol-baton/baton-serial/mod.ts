/**
 * Downloadable patrol batons that speak the Gatehouse baton protocol.
 *
 * @module
 */
import * as v from "valibot";
import { defineDriver, type PatrolBatonDriver } from "../../contract.ts";
import { SerialBaton } from "./baton.ts";

const Schema = v.strictObject({});

/** A cradle has no options. */
export type BatonOptions = Readonly<Record<never, never>>;

/** A baton's cradle or cable, 115200 8N1. */
export const batonSerial: PatrolBatonDriver<BatonOptions> = defineDriver({
  id: "baton-serial",
  kind: "patrol-baton",
  bus: "serial",
  reference: "Gatehouse baton protocol 1",
  serialDefaults: { baudRate: 115_200 },
  devicesMax: 1,
  optionsSchema: Schema,
  parseOptions: (raw: unknown): BatonOptions => v.parse(Schema, raw),
  open: (host, _options, signal) => SerialBaton.open(host, signal),
});
