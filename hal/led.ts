/** A light that a person sees. */
export interface Led {
  /** Switches it. @throws HalError `io` */
  set(on: boolean): void;
}
