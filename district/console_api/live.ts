import type { Clock } from "../../hal/mod.ts";
import type { CurrentSession, Sessions } from "../auth/sessions.ts";
import { type LiveHub, LiveQueue } from "../live/hub.ts";

/** Proxies drop what is silent; a browser that is gone shows when it is written to. */
const HEARTBEAT_MS = 15_000;
/** Screens at once: each costs a queue and a connection. */
const LISTENERS_MAX = 200;

/** Whose stream it is: one session's. */
export function liveOwner(session: CurrentSession): string {
  return session.tokenHash.toHex();
}

/** `GET /api/live`: server-sent events (HTML, section 9.2) until the session or the client ends. */
export function liveResponse(
  hub: LiveHub,
  sessions: Sessions,
  session: CurrentSession,
  clock: Clock,
): Response | undefined {
  if (hub.listeners >= LISTENERS_MAX) return undefined;
  const queue = new LiveQueue();
  const stop = hub.listen(queue, liveOwner(session));
  const encoder = new TextEncoder();
  let heartbeatDue = true;
  let cancelHeartbeat = () => {};
  const beat = () => {
    cancelHeartbeat = clock.schedule(HEARTBEAT_MS, () => {
      heartbeatDue = true;
      queue.nudge();
      beat();
    });
  };
  beat();
  const end = () => {
    cancelHeartbeat();
    stop();
  };
  const body = new ReadableStream<Uint8Array>({
    // Called only while the client reads: what it does not read waits in the bounded queue.
    async pull(controller) {
      try {
        while (!heartbeatDue && !queue.closed && !queue.waiting) await queue.next();
        if (queue.closed || (heartbeatDue && !await sessions.alive(session))) {
          end();
          return controller.close();
        }
        let text = heartbeatDue ? ": here\n\n" : "";
        heartbeatDue = false;
        for (const message of queue.take()) text += `data: ${JSON.stringify(message)}\n\n`;
        controller.enqueue(encoder.encode(text));
      } catch (error) {
        end();
        controller.error(error);
      }
    },
    cancel: end,
  }, { highWaterMark: 1 });
  return new Response(body, {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
    },
  });
}
