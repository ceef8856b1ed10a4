import assert from "node:assert/strict";
import type { LiveMessage } from "../api/types.ts";
import { LiveHub, LiveQueue } from "./hub.ts";

const message = (id: string): LiveMessage => ({
  kind: "command",
  command: {
    id,
    boxId: "bx",
    command: { name: "door.open", door: "main" },
    operator: "admin",
    issuedMs: 1,
    expiresMs: 2,
    state: "pending",
  },
});

Deno.test("who falls behind is told to read anew, and costs no more", () => {
  const hub = new LiveHub();
  const [slow, quick] = [new LiveQueue(3), new LiveQueue(3)];
  hub.listen(slow);
  hub.listen(quick);
  hub.publish([message("1"), message("2")]);
  assert.equal(quick.take().length, 2);
  hub.publish([message("3"), message("4")]);
  assert.equal(quick.take().length, 2);
  assert.deepEqual(slow.take(), [{ kind: "resync" }]);
  hub.publish([message("5")]);
  assert.deepEqual(slow.take(), [message("5")]);
});

Deno.test("a queue wakes its reader, and ends with its owner", async () => {
  const hub = new LiveHub();
  const queue = new LiveQueue();
  hub.listen(queue, "a");
  const woken = queue.next();
  hub.publish([message("1")]);
  await woken;
  hub.end("b");
  assert.equal(queue.closed, false);
  const ended = queue.next();
  hub.end("a");
  await ended;
  assert.deepEqual([queue.closed, queue.waiting], [true, false]);
  const cancel = hub.listen(new LiveQueue());
  cancel();
  cancel();
  hub.close();
  assert.equal(hub.listeners, 0);
});
