import { HalError } from "../error.ts";
import type { Rs485Settings, SerialSettings } from "../serial.ts";
import { errno, errnoName, kindOf, libc } from "./libc.ts";

// asm-generic/ioctls.h and asm-generic/termbits.h: the same on x64 and arm64.
const TCGETS2 = 0x802c542a;
const TCSETS2 = 0x402c542b;
const TIOCSRS485 = 0x542f;
const TERMIOS2_BYTES = 44;
const SERIAL_RS485_BYTES = 32;

const IGNBRK = 0x1;
const IGNPAR = 0x4;
const INPCK = 0x10;
const BOTHER = 0x1000;
const CS8 = 0x30;
const CSTOPB = 0x40;
const CREAD = 0x80;
const PARENB = 0x100;
const PARODD = 0x200;
const CLOCAL = 0x800;
const FRAME_BITS = CS8 | CSTOPB | PARENB | PARODD;
const VMIN_OFFSET = 17 + 6;
const CFLAG_OFFSET = 8;
const ISPEED_OFFSET = 36;
const OSPEED_OFFSET = 40;

const SER_RS485_ENABLED = 1;
const SER_RS485_RTS_ON_SEND = 2;
const SER_RS485_RTS_AFTER_SEND = 4;

/** A receiver samples the last bit of ten half a bit late at 5 %; two ends share that. */
const BAUD_ERROR_MAX = 0.025;
/** `speed_t` holds more, but no UART makes it; 0 would mean "hang up". */
const BAUD_MAX = 50_000_000;
/** The kernel caps RS-485 delays at 100 ms (`RS485_MAX_RTS_DELAY`), silently. */
const RS485_DELAY_MS_MAX = 100;

const wrong = (what: string) => new HalError("invalid", what);

/** Refuses settings that no line can have. @throws {@link HalError} `invalid`. */
export function checkSettings(settings: SerialSettings): void {
  const { path, baudRate, parity = "none", stopBits = 1, rs485 } = settings;
  if (!Number.isInteger(baudRate) || baudRate < 1 || baudRate > BAUD_MAX) {
    throw wrong(`open ${path}: baud rate ${baudRate}: expected 1 to ${BAUD_MAX}`);
  }
  if (!["none", "even", "odd"].includes(parity)) {
    throw wrong(`open ${path}: parity ${parity}: expected none, even or odd`);
  }
  if (stopBits !== 1 && stopBits !== 2) {
    throw wrong(`open ${path}: ${String(stopBits)} stop bits: expected 1 or 2`);
  }
  for (const delayMs of rs485 ? [rs485.delayBeforeSendMs, rs485.delayAfterSendMs] : []) {
    if (!Number.isInteger(delayMs) || delayMs < 0 || delayMs > RS485_DELAY_MS_MAX) {
      throw wrong(`open ${path}: RS-485 delay ${delayMs}: expected 0 to ${RS485_DELAY_MS_MAX} ms`);
    }
  }
}

/**
 * `struct termios2` for raw bytes, 8 data bits. Breaks are ignored; a byte with wrong parity is
 * dropped, so that the frame's check fails instead of a wrong byte passing.
 */
export function encodeTermios2(settings: SerialSettings): Uint8Array<ArrayBuffer> {
  const { baudRate, parity = "none", stopBits = 1 } = settings;
  const bytes = new Uint8Array(TERMIOS2_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, parity === "none" ? IGNBRK : IGNBRK | INPCK | IGNPAR, true);
  view.setUint32(CFLAG_OFFSET, BOTHER | CREAD | CLOCAL | frameBits(parity, stopBits), true);
  view.setUint8(VMIN_OFFSET, 1);
  view.setUint32(ISPEED_OFFSET, baudRate, true);
  view.setUint32(OSPEED_OFFSET, baudRate, true);
  return bytes;
}

function frameBits(parity: "none" | "even" | "odd", stopBits: 1 | 2): number {
  return CS8 | (stopBits === 2 ? CSTOPB : 0) |
    (parity === "none" ? 0 : parity === "even" ? PARENB : PARENB | PARODD);
}

/** `struct serial_rs485` (`linux/serial.h`). */
export function encodeRs485(rs485: Rs485Settings): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SERIAL_RS485_BYTES);
  const view = new DataView(bytes.buffer);
  const rts = rs485.rtsOnSend ? SER_RS485_RTS_ON_SEND : SER_RS485_RTS_AFTER_SEND;
  view.setUint32(0, SER_RS485_ENABLED | rts, true);
  view.setUint32(4, rs485.delayBeforeSendMs, true);
  view.setUint32(8, rs485.delayAfterSendMs, true);
  return bytes;
}

/** The output rate of the tty `fd`, in bits a second. @throws {@link HalError} `io`. */
export function readBaudRate(fd: number): number {
  const now = new Uint8Array(TERMIOS2_BYTES);
  if (libc().ioctl(fd, TCGETS2, now) < 0) {
    throw new HalError("io", `read the baud rate: ${errnoName(errno())}`);
  }
  return new DataView(now.buffer).getUint32(OSPEED_OFFSET, true);
}

/**
 * Applies `settings` to the tty `fd`, and reads back what came of them: the kernel takes what a port
 * cannot do without a word (termios(3)). `pseudo`: a pty has no bits, so its frame is not checked.
 *
 * @throws {@link HalError} `invalid`.
 */
export function configure(fd: number, settings: SerialSettings, pseudo: boolean): void {
  const { path, baudRate, parity = "none", stopBits = 1, rs485 } = settings;
  const fail = (what: string) => {
    const code = errno();
    return new HalError(kindOf(code), `open ${path}: ${what} (${errnoName(code)})`);
  };
  const now = new Uint8Array(TERMIOS2_BYTES);
  if (libc().ioctl(fd, TCGETS2, now) < 0) throw fail("this is not a serial port");
  const wanted = encodeTermios2(settings);
  if (libc().ioctl(fd, TCSETS2, wanted) < 0) throw fail("the settings are refused");
  libc().ioctl(fd, TCGETS2, now);
  const view = new DataView(now.buffer);
  const madeBaud = view.getUint32(OSPEED_OFFSET, true);
  if (Math.abs(madeBaud / baudRate - 1) > BAUD_ERROR_MAX) {
    throw wrong(`open ${path}: the port makes ${madeBaud} baud instead of ${baudRate}`);
  }
  const made = view.getUint32(CFLAG_OFFSET, true) & FRAME_BITS;
  if (!pseudo && made !== frameBits(parity, stopBits)) {
    throw wrong(`open ${path}: the port cannot do 8 bits, parity ${parity}, ${stopBits} stop bits`);
  }
  if (rs485 !== undefined && libc().ioctl(fd, TIOCSRS485, encodeRs485(rs485)) < 0) {
    throw fail("this port has no direction control; leave rs485 out if its adapter does it");
  }
}
