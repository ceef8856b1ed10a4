/**
 * A policy's settings as a payload: hours, holidays and access levels, for some boxes before all. People and
 * cards are none of it; a lost card is refused everywhere at once.
 *
 * @module
 */
export { policyBackEnd, type PolicyBackEndOptions } from "./back_end.ts";
export { settingsText } from "./settings.ts";
