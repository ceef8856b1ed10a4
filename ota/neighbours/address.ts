/** Addresses of one's own network: RFC 1918, link-local (RFC 3927, RFC 4291), ULA (RFC 4193), this machine. */
const NEAR = [
  /^10\./,
  /^192\.168\./,
  /^172\.(1[6-9]|2\d|3[01])\./,
  /^169\.254\./,
  /^127\./,
  /^::1$/,
  /^fe[89ab][0-9a-f]:/i,
  /^f[cd][0-9a-f]{2}:/i,
];

/** Whether an address is of a private network: nobody else is served or asked. */
export function isNear(address: string): boolean {
  const bare = address.replace(/^::ffff:/i, "");
  return NEAR.some((pattern) => pattern.test(bare));
}
