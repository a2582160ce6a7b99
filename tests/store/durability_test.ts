/**
 * What is asked of the operating system: a commit of durability "full" is acknowledged only once the log is synced, the
 * database is written to only then, too, and the log is begun anew only once the database is synced. That, and what
 * power_loss_test.ts shows, makes a checkpoint survive power loss.
 */
import { assert, assertEquals, assertGreater } from "@std/assert";
import { temporaryFolder } from "../temporary_folder.ts";

const reason = await whyNot();
if (reason !== undefined) {
  console.log(`Tests of what is asked of the operating system are skipped: ${reason}`);
}

for (const growWal of [false, true]) {
  Deno.test({
    name: `durability "full" acknowledges nothing that is not synced, ${
      growWal ? "with" : "without"
    } growWal`,
    ignore: reason !== undefined,
    async fn() {
      const calls = await trace("full", growWal);
      const unsynced = { log: 0, database: 0 };
      const seen = { acknowledgements: 0, checkpoints: 0, restarts: 0 };
      for (const { call, file, offset } of calls) {
        if (call === "acknowledge") {
          seen.acknowledgements++;
          assertEquals(unsynced.log, 0, "A commit was acknowledged before the log was synced");
        } else if (call === "sync") {
          unsynced[file] = 0;
        } else {
          if (file === "database" && unsynced.database === 0) seen.checkpoints++;
          if (file === "database") {
            assertEquals(unsynced.log, 0, "The database was written to before the log was synced");
          }
          if (file === "log" && offset === 0) {
            seen.restarts++;
            assertEquals(unsynced.database, 0, "The log was begun anew before the database was synced");
          }
          unsynced[file]++;
        }
      }
      assertEquals(seen.acknowledgements, COMMITS);
      assertGreater(seen.checkpoints, 0);
      assertGreater(seen.restarts, 1);
    },
  });
}

Deno.test({
  name: 'durability "normal" syncs before and after a checkpoint alone',
  ignore: reason !== undefined,
  async fn() {
    const calls = await trace("normal", false);
    const syncs = calls.filter(({ call }) => call === "sync").length;
    assertGreater(syncs, 0);
    assert(syncs < COMMITS / 2, `${syncs} syncs for ${COMMITS} commits`);
  },
});

interface Call {
  readonly call: "write" | "sync" | "acknowledge";
  readonly file: "log" | "database";
  readonly offset?: number;
}

const COMMITS = 24;

/** What a process that commits asks of the operating system, in its order. */
async function trace(durability: "full" | "normal", growWal: boolean): Promise<Call[]> {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await Deno.writeTextFile(
    folder.file("committer.ts"),
    `import { openSqliteDatabase } from "${import.meta.resolve("../../engine/store/sqlite_database.ts")}";
     import { Turns } from "${import.meta.resolve("../../engine/turns.ts")}";
     import { systemClock } from "${import.meta.resolve("../../engine/clock.ts")}";
     import { systemRandom } from "${import.meta.resolve("../../engine/random.ts")}";
     const database = await openSqliteDatabase(${JSON.stringify(file)}, {
       durability: "${durability}", growWal: ${growWal}, sqlite: "builtin", busyTimeoutMs: 1_000,
       turns: new Turns(), clock: systemClock, random: systemRandom,
     });
     await database.write([{ sql: "CREATE TABLE t (payload)", params: [] }]);
     for (let i = 0; i < ${COMMITS}; i++) {
       const size = i % 8 === 7 ? 5_000_000 : 100;
       await database.write([{ sql: "INSERT INTO t VALUES (?)", params: ["x".repeat(size)] }]);
       Deno.stdout.writeSync(new TextEncoder().encode("acknowledge\\n"));
     }`,
  );
  const log = folder.file("trace");
  const options = ["run", "--quiet", "--no-check", "--no-lock", "--allow-all", folder.file("committer.ts")];
  const { success, stderr } = await new Deno.Command("strace", {
    args: [
      "-f",
      "-y",
      "-s",
      "16",
      "-e",
      "trace=write,pwrite64,fsync,fdatasync",
      "-o",
      log,
      Deno.execPath(),
      ...options,
    ],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return parse(await Deno.readTextFile(log), file);
}

function parse(text: string, file: string): Call[] {
  const calls: Call[] = [];
  for (const line of text.split("\n")) {
    const [, name, path] = /^\d+ +(\w+)\(\d+<([^>]*)>/.exec(line) ?? [];
    if (name === "write" && /"acknowledge/.test(line)) calls.push({ call: "acknowledge", file: "log" });
    if (path !== file && path !== `${file}-wal`) continue;
    const which = path === file ? "database" : "log";
    if (name === "fsync" || name === "fdatasync") calls.push({ call: "sync", file: which });
    if (name === "pwrite64") {
      const offset = Number(/, (\d+)\)? *(=|<unfinished)/.exec(line)?.[1]);
      calls.push({ call: "write", file: which, offset });
    }
  }
  return calls;
}

/** Why the calls of a process cannot be traced here; undefined if they can. */
async function whyNot(): Promise<string | undefined> {
  if (Deno.build.os !== "linux") return "strace is a tool of Linux";
  try {
    const { success, stderr } = await new Deno.Command("strace", {
      args: ["-o", "/dev/null", Deno.execPath(), "--version"],
    })
      .output();
    return success ? undefined : new TextDecoder().decode(stderr).trim();
  } catch (error) {
    return (error as Error).message;
  }
}
