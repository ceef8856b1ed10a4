import assert from "node:assert/strict";
import { linuxClock } from "./mod.ts";
import { cPath, libc, O_CREAT, O_RDWR } from "./libc.ts";
import { connectUnix, SOCKET_LAYOUT, type UnixConnection, UnixListener } from "./unix_socket.ts";
import { WATCHDOG_INFO_BYTES, WATCHDOG_IOCTL } from "./watchdog.ts";

const clock = linuxClock();
const never = () => new AbortController().signal;

interface Pair {
  readonly here: UnixConnection;
  readonly there: UnixConnection;
  readonly dir: string;
}

async function withPair(use: (pair: Pair) => Promise<void>): Promise<void> {
  const dir = Deno.makeTempDirSync();
  const listener = UnixListener.open(`${dir}/s`);
  const here = connectUnix(`${dir}/s`)!;
  const there = (await listener.accept(never()))!;
  try {
    await use({ here, there, dir });
  } finally {
    here.close();
    there.close();
    listener.close();
    await Deno.remove(dir, { recursive: true });
  }
}

const bytes = (text: string) => new TextEncoder().encode(text);
const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;

Deno.test("messages come whole and in order, and a descriptor works in other hands", () =>
  withPair(async ({ here, there, dir }) => {
    const fd = libc().openMode(cPath(`${dir}/file`), O_RDWR | O_CREAT, 0o600);
    here.send(bytes("one"), fd);
    here.send(bytes("two"));
    libc().close(fd);
    const one = (await there.receive(never()))!;
    assert.equal(new TextDecoder().decode(one.bytes), "one");
    assert.equal(libc().write(one.fd!, bytes("written by the other"), 20n), 20);
    libc().close(one.fd!);
    assert.equal(Deno.readTextFileSync(`${dir}/file`), "written by the other");
    const two = (await there.receive(never()))!;
    assert.equal(new TextDecoder().decode(two.bytes), "two");
    assert.equal(two.fd, undefined);
    assert.deepEqual(here.peer(), { pid: Deno.pid, uid: Deno.uid()! });
  }));

Deno.test("a wait ends with its signal, with the peer, and with closing", () =>
  withPair(async ({ here, there }) => {
    const stop = new AbortController();
    const waiting = there.receive(stop.signal);
    await clock.sleep(10, never());
    stop.abort();
    assert.equal(await waiting, null);
    const closing = here.receive(never());
    await clock.sleep(10, never());
    here.close();
    assert.equal(await closing, null);
    assert.equal(await there.receive(never()), null);
    assert.equal(there.send(bytes("x")), false, "and no signal ends this process");
  }));

Deno.test("what is too long, or has two descriptors, ends the connection and leaks nothing", async () => {
  await withPair(async ({ here, there }) => {
    assert.throws(() => here.send(new Uint8Array(4_097)), { kind: "invalid" });
    const before = descriptors();
    sendRaw(here, new Uint8Array(16), [0, 1]);
    assert.equal(await there.receive(never()), null);
    assert.equal(descriptors(), before);
  });
  await withPair(async ({ here, there }) => {
    const before = descriptors();
    sendRaw(here, new Uint8Array(5_000), [0]);
    assert.equal(await there.receive(never()), null);
    assert.equal(descriptors(), before);
  });
});

/** Sends what {@link UnixConnection.send} would not: any length, any number of descriptors. */
function sendRaw(connection: UnixConnection, body: Uint8Array, fds: readonly number[]): void {
  const address = (buffer: ArrayBuffer) =>
    Deno.UnsafePointer.value(Deno.UnsafePointer.of(new Uint8Array(buffer)));
  const text = new Uint8Array(new ArrayBuffer(8_192));
  text.set(body);
  const control = new DataView(new ArrayBuffer(64));
  control.setBigUint64(0, BigInt(16 + fds.length * 4), true);
  control.setInt32(8, 1, true);
  control.setInt32(12, 1, true);
  fds.forEach((fd, i) => control.setInt32(16 + i * 4, fd, true));
  const iov = new BigUint64Array(new ArrayBuffer(16));
  iov.set([address(text.buffer), BigInt(body.length)]);
  const header = new DataView(new ArrayBuffer(SOCKET_LAYOUT.msghdr.bytes));
  header.setBigUint64(SOCKET_LAYOUT.msghdr.iov, address(iov.buffer), true);
  header.setBigUint64(SOCKET_LAYOUT.msghdr.iovlen, 1n, true);
  header.setBigUint64(SOCKET_LAYOUT.msghdr.control, address(control.buffer), true);
  header.setBigUint64(SOCKET_LAYOUT.msghdr.controllen, BigInt(16 + fds.length * 4), true);
  const sent = libc().sendmsg(connection.fd, new Uint8Array(header.buffer), 0);
  assert.equal(sent, body.length);
}

Deno.test("a socket is made in a dead one's place, for its user alone; nobody there is no error", async () => {
  const dir = Deno.makeTempDirSync();
  try {
    const path = `${dir}/s`;
    assert.equal(connectUnix(path), undefined);
    Deno.writeTextFileSync(path, "");
    const listener = UnixListener.open(path);
    assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
    const stop = new AbortController();
    const accepting = listener.accept(stop.signal);
    stop.abort();
    assert.equal(await accepting, null);
    listener.close();
    listener.close();
    assert.equal(connectUnix(path), undefined);
    assert.throws(() => connectUnix(`${dir}/${"x".repeat(108)}`), { kind: "invalid" });
    assert.throws(() => UnixListener.open("/proc/nowhere/s"), { name: "HalError" });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

const C = `
#include <stdio.h>
#include <stddef.h>
#include <sys/socket.h>
#include <linux/watchdog.h>
int main(void) {
  printf("%zu %zu %zu %zu %zu %zu\\n", sizeof(struct msghdr), offsetof(struct msghdr, msg_iov), offsetof(struct msghdr, msg_iovlen),
    offsetof(struct msghdr, msg_control), offsetof(struct msghdr, msg_controllen), offsetof(struct msghdr, msg_flags));
  printf("%zu %zu %zu\\n", (size_t)CMSG_SPACE(4), (size_t)CMSG_LEN(4), sizeof(struct cmsghdr));
  printf("%lu %lu %lu %lu %zu\\n", (unsigned long)WDIOC_SETTIMEOUT, (unsigned long)WDIOC_GETTIMEOUT, (unsigned long)WDIOC_KEEPALIVE,
    (unsigned long)WDIOC_GETSUPPORT, sizeof(struct watchdog_info));
  return 0;
}`;

Deno.test("structures and numbers of sockets and watchdogs are those of the C headers", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${dir}/abi.c`, C);
    const gcc = await new Deno.Command("gcc", { args: ["-o", `${dir}/abi`, `${dir}/abi.c`] })
      .output().catch(() => undefined);
    if (gcc === undefined) {
      console.log("skipped: there is no gcc to compare with");
      return;
    }
    assert.ok(gcc.success, new TextDecoder().decode(gcc.stderr));
    const { stdout } = await new Deno.Command(`${dir}/abi`).output();
    assert.deepEqual(new TextDecoder().decode(stdout).trim().split("\n"), [
      Object.values(SOCKET_LAYOUT.msghdr).join(" "),
      Object.values(SOCKET_LAYOUT.oneFd).join(" "),
      [...Object.values(WATCHDOG_IOCTL), WATCHDOG_INFO_BYTES].join(" "),
    ]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
