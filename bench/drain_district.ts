/**
 * A real district on a process of its own: `drain_district.ts DATA` says its address and an enrolment
 * token in one line, and ends with its standard input.
 *
 * @module
 */
import { jsonLog, openDistrict } from "../district/mod.ts";
import { processClock } from "../hal/linux/mod.ts";

const dataDir = Deno.args[0]!;
const clock = processClock();
await Deno.mkdir(dataDir, { recursive: true });
await using district = await openDistrict({
  dataDir,
  hostname: "127.0.0.1",
  port: 0,
  hosts: [],
  clock,
  log: jsonLog(clock, () => {}),
  name: "bench",
  version: "bench",
  webDir: dataDir,
});
const { token } = await district.createToken();
console.log(`${district.url} ${token}`);
await Deno.stdin.readable.pipeTo(new WritableStream());
