/** Pins of an Uno: 0 and 1 are its serial line, 2 to 13 digital, 14 to 19 A0 to A5. */
export const PINS = 20;
const PWM_PINS: readonly number[] = [3, 5, 6, 9, 10, 11];

/** Identifiers of messages; an answer to a query has the next number. */
export const SYSEX = {
  analogMapping: 0x69,
  capabilities: 0x6b,
  pinState: 0x6d,
  firmware: 0x79,
  samplingInterval: 0x7a,
} as const;

/** Whether a pin can be read and driven. */
export function isDigital(pin: number): boolean {
  return pin >= 2 && pin < PINS;
}

/** Whether a pin has the converter. */
export function isAnalog(pin: number): boolean {
  return pin >= 14 && pin < PINS;
}

/** What each pin can do, with the bits that it does it in. */
export function capabilityResponse(): number[] {
  const pins = Array.from({ length: PINS }, (_, pin) => [
    ...(isDigital(pin) ? [0, 1, 11, 1, 1, 1] : []),
    ...(isAnalog(pin) ? [2, 10] : []),
    ...(PWM_PINS.includes(pin) ? [3, 8] : []),
    ...(isDigital(pin) ? [4, 14] : []),
    ...(pin >= 18 ? [6, 1] : []),
    0x7f,
  ]);
  return [0xf0, SYSEX.capabilities + 1, ...pins.flat(), 0xf7];
}

/** Characters as the protocol sends them: seven bits, then the eighth. */
export function text(characters: string): number[] {
  return [...characters].flatMap((character) => {
    const code = character.charCodeAt(0);
    return [code & 0x7f, code >> 7];
  });
}
