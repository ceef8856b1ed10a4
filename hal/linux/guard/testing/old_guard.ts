/**
 * A guard of a version to come: `old_guard.ts SOCKET`. It welcomes with protocol 999 and does nothing
 * more.
 *
 * @module
 */
import { UnixListener } from "../../unix_socket.ts";

const never = new AbortController().signal;
const listener = UnixListener.open(Deno.args[0]!);
for (let link = await listener.accept(never); link !== null; link = await listener.accept(never)) {
  await link.receive(never);
  link.send(new TextEncoder().encode('{"kind":"welcome","protocol":999,"lines":[]}'));
  await link.receive(never);
}
