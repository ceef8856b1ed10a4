/** A 1-Wire bus (Maxim AN937): who is on it. */
export interface OneWireHost {
  /**
   * Searches `bus` (the kernel's `w1_bus_master1`) once. Each ROM code is 16 lower-case hex digits
   * in the order printed on an iButton's face: CRC, 48-bit serial number, family code. The CRC has
   * been checked.
   *
   * @throws {@link import("./error.ts").HalError} `not-found` when there is no such bus, `permission`, `io`.
   */
  search(bus: string, signal: AbortSignal): Promise<readonly string[]>;
  /**
   * Has the thermometer with this ROM code (family 28 and its like) measure, and waits for it: most of a
   * second. In °C. Absent where the host cannot.
   *
   * @throws {@link import("./error.ts").HalError} `not-found` when it is not on any bus, `permission`, `io`
   * when its answer does not check.
   */
  readonly temperature?: (rom: string, signal: AbortSignal) => Promise<number>;
}
