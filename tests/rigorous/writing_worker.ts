/**
 * Writes rows to a store as fast as it can: `writing_worker.ts FILE NAME ROWS`. It begins when it reads a line, and says of each row
 * that it is committed.
 */
import { systemClock, systemRandom } from "@stepwell/stepwell";
import { openSqliteDatabase } from "../../engine/store/sqlite_database.ts";
import { Turns } from "../../engine/turns.ts";

const [file, name, rows] = Deno.args as [string, string, string];
const database = await openSqliteDatabase(file, {
  durability: "normal",
  sqlite: "builtin",
  busyTimeoutMs: 60_000,
  growWal: false,
  turns: new Turns(),
  clock: systemClock,
  random: systemRandom,
});
console.log("ready");
await Deno.stdin.read(new Uint8Array(9));
for (let row = 1; row <= Number(rows); row++) {
  await database.write([{ sql: "INSERT INTO written (name, row) VALUES (?, ?)", params: [name, row] }]);
  console.log(`committed ${row}`);
}
await database.close();
console.log("done");
