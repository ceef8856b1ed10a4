/**
 * What a keyboard types, as everybody else in the guest sees it: the console, and whoever follows its
 * input device.
 *
 * @module
 */
const INPUTS = "/sys/class/input";
/** The first virtual terminal, which the kernel shows and types into. */
const TERMINAL = "/dev/tty1";
/** `struct input_event` on 64 bits: time 16, type 2, code 2, value 4 (`linux/input.h`). */
const EVENT = { bytes: 24, type: 16, code: 18, value: 20 };
const EV_KEY = 1;

const heard = { console: "", keys: 0 };
let followsTerminal = false;

function follow(path: string, take: (bytes: Uint8Array) => void): void {
  const file = Deno.openSync(path, { read: true });
  void (async () => {
    const chunk = new Uint8Array(EVENT.bytes * 64);
    for (;;) {
      // The device goes, and its follower with it.
      const count = await file.read(chunk).catch(() => null);
      if (count === null) return;
      take(chunk.slice(0, count));
    }
  })();
}

/** Input nodes of the devices of a vendor, in hex. */
function nodesOf(vendor: string): string[] {
  return [...Deno.readDirSync(INPUTS)]
    .map(({ name }) => name)
    .filter((name) => name.startsWith("event"))
    .filter((name) =>
      Deno.readTextFileSync(`${INPUTS}/${name}/device/id/vendor`).trim() === vendor
    );
}

async function followTerminal(): Promise<void> {
  followsTerminal = true;
  const raw = new Deno.Command("stty", { args: ["-F", TERMINAL, "raw", "-echo"] });
  if (!(await raw.output()).success) throw new Error(`${TERMINAL} cannot be set up`);
  const decoder = new TextDecoder();
  follow(TERMINAL, (bytes) => heard.console += decoder.decode(bytes, { stream: true }));
}

/** Follows the first terminal, and each input node of the vendor's keyboards; returns how many. */
async function keyboardFollow(vendor: string): Promise<number> {
  if (!followsTerminal) await followTerminal();
  const nodes = nodesOf(vendor);
  for (const node of nodes) {
    follow(`/dev/input/${node}`, (bytes) => {
      const view = new DataView(bytes.buffer);
      for (let at = 0; at + EVENT.bytes <= bytes.length; at += EVENT.bytes) {
        const isKey = view.getUint16(at + EVENT.type, true) === EV_KEY;
        if (isKey && view.getUint32(at + EVENT.value, true) === 1) heard.keys++;
      }
    });
  }
  return nodes.length;
}

/** What was heard since the last call: the console's text, and the number of keys pressed. */
function keyboardHeard(): { console: string; keys: number } {
  const seen = { ...heard };
  Object.assign(heard, { console: "", keys: 0 });
  return seen;
}

/** What the host may call. */
export const keyboardProcedures = { keyboardFollow, keyboardHeard };
