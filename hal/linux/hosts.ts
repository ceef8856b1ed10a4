import type { AnalogHost } from "../analog.ts";
import type { ByteStream } from "../byte_stream.ts";
import type { Clock } from "../clock.ts";
import type { HidHost } from "../hid.ts";
import type { OneWireHost } from "../one_wire.ts";
import { linuxAnalogHost } from "./analog.ts";
import { linuxHidHost } from "./hid.ts";
import { linuxOneWireHost } from "./one_wire.ts";
import { linuxConnectUnix } from "./unix_stream.ts";

/** The hosts of this machine that need nothing but a clock. */
export interface LinuxHosts {
  readonly analog: AnalogHost;
  readonly hid: HidHost;
  readonly oneWire: OneWireHost;
  readonly connectUnix: (path: string, signal: AbortSignal) => Promise<ByteStream>;
}

/** Makes them; none of them touches the machine before it is asked for something. */
export function linuxHosts(clock: Clock): LinuxHosts {
  return {
    analog: linuxAnalogHost(clock),
    hid: linuxHidHost(clock),
    oneWire: linuxOneWireHost(clock),
    connectUnix: linuxConnectUnix(clock),
  };
}
