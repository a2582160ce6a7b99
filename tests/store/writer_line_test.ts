import { assert, assertEquals, assertLess } from "@std/assert";
import { systemClock, systemRandom } from "@stepwell/stepwell";
import type { Database, Statement } from "../../engine/store/database.ts";
import { openSqliteDatabase } from "../../engine/store/sqlite_database.ts";
import { WriterLine } from "../../engine/store/writer_line.ts";
import { Turns } from "../../engine/turns.ts";
import { startChild } from "../child_process.ts";
import { ManualClock } from "../manual_clock.ts";
import { type TemporaryFolder, temporaryFolder } from "../temporary_folder.ts";
import { testEachDriver } from "./each_driver.ts";

const insert = (value: string): Statement => ({ sql: "INSERT INTO t (value) VALUES (?)", params: [value] });
const createTable: Statement = { sql: "CREATE TABLE t (value)", params: [] };
/** Whether there are no turns here. */
const ignore = Deno.build.os === "windows" || !("tryLockSync" in Deno.FsFile.prototype);

/** Opens a database. */
function openDatabase(file: string): Promise<Database> {
  return openSqliteDatabase(file, { ...OPTIONS, turns: new Turns() });
}

const OPTIONS = {
  durability: "normal",
  sqlite: "builtin",
  busyTimeoutMs: 60_000,
  growWal: false,
  clock: systemClock,
  random: systemRandom,
} as const;

/** A module that opens the file it is given likewise. */
const OPEN = `
  import { systemClock, systemRandom } from "${import.meta.resolve("@stepwell/stepwell")}";
  import { openSqliteDatabase } from "${import.meta.resolve("../../engine/store/sqlite_database.ts")}";
  import { Turns } from "${import.meta.resolve("../../engine/turns.ts")}";
  const database = await openSqliteDatabase(Deno.args[0], {
    ...${JSON.stringify(OPTIONS)}, clock: systemClock, random: systemRandom, turns: new Turns(),
  });`;

/** Starts a process that takes the turn to write, and keeps it. */
async function startHolder(folder: TemporaryFolder, file: string) {
  await Deno.writeTextFile(
    folder.file("holder.ts"),
    `import { systemClock, systemRandom } from "${import.meta.resolve("@stepwell/stepwell")}";
     import { WriterLine } from "${import.meta.resolve("../../engine/store/writer_line.ts")}";
     const line = WriterLine.join(${JSON.stringify(file)});
     let turn = await line.turn(systemClock, 60_000);
     console.log("has its turn");
     let round = 0;
     for await (const _ of Deno.stdin.readable) {
       turn.end();
       const asked = line.turn(systemClock, 60_000);
       console.log("asked " + ++round);
       turn = await asked;
       console.log("again " + round);
     }`,
  );
  const holder = startChild(`file://${folder.file("holder.ts")}`);
  await holder.line("has its turn");
  return holder;
}

Deno.test({
  name: "WriterLine gives one turn at a time, in the order in which they were asked for",
  ignore,
  async fn() {
    await using folder = temporaryFolder();
    const members = [1, 2, 3].map(() => WriterLine.join(folder.file("a.db"))!);
    const order: string[] = [];
    await Promise.all(members.flatMap((line, member) =>
      [1, 2].map(async (round) => {
        const turn = await line.turn(systemClock, 60_000);
        order.push(`${member} begins ${round}`);
        await new Promise((resolve) => setTimeout(resolve));
        order.push(`${member} ends ${round}`);
        turn!.end();
        turn!.end();
      })
    ));
    assertEquals(
      order,
      [0, 1, 2].flatMap((member) =>
        [1, 2].flatMap((round) => [`${member} begins ${round}`, `${member} ends ${round}`])
      ),
    );
    for (const line of members) line.leave(true);
    assertEquals(folder.names, []);
  },
});

Deno.test({
  name: "WriterLine passes a turn on from a process that ends it, and from one that is killed in it",
  ignore,
  async fn() {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    const line = WriterLine.join(file)!;
    for (const end of ["says", "dies"]) {
      await using holder = await startHolder(folder, file);
      const turn = line.turn(systemClock, 60_000);
      if (end === "says") await holder.say("end");
      else holder.kill("SIGKILL");
      (await turn)!.end();
      if (end === "says") await holder.line("again 1");
    }
    line.leave(true);
  },
});

Deno.test({
  name: "WriterLine waits for no turn longer than it is to, and for none while that one has not come",
  ignore,
  async fn() {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    const clock = new ManualClock();
    const line = WriterLine.join(file)!;
    await using holder = await startHolder(folder, file);
    holder.kill("SIGSTOP");
    const late = line.turn(clock, 1_000);
    clock.advance(1_000);
    assertEquals(await late, undefined);
    assertEquals(await line.turn(clock, 1_000), undefined);
    holder.kill("SIGKILL");
    await holder.ended();
    // What was asked for comes, and is given back; then there are turns again.
    let turn = await line.turn(systemClock, 1_000);
    while (turn === undefined) {
      await new Promise((resolve) => setTimeout(resolve));
      turn = await line.turn(systemClock, 1_000);
    }
    turn.end();
    line.leave(true);
  },
});

Deno.test({
  name: "WriterLine locks neither a link nor a file that has something in it",
  ignore,
  async fn() {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    await Deno.writeTextFile(file, "a database");
    const makers = [
      (path: string) => Deno.symlink(file, path),
      (path: string) => Deno.link(file, path),
      (path: string) => Deno.mkdir(path),
      (path: string) => Deno.writeTextFile(path, "something"),
    ];
    for (const make of makers) {
      for (const suffix of ["-writer", "-writer-next"]) {
        await make(file + suffix);
        const line = WriterLine.join(file)!;
        assertEquals(await line.turn(systemClock, 60_000), undefined);
        line.leave(true);
        assert(folder.names.includes(`a.db${suffix}`));
        for (const name of folder.names) if (name !== "a.db") await Deno.remove(folder.file(name));
      }
    }
    assertEquals(await Deno.readTextFile(file), "a database");
  },
});

testEachDriver(
  "a process that finds the file locked waits in line from then on, and leaves nothing of that behind",
  async ({ open, connect, folder }) => {
    if (ignore) return console.log("skipped: there are no turns here");
    const database = await open();
    await database.write([createTable]);
    await database.write([insert("alone")]);
    assertEquals(folder.names.filter((name) => name.includes("-writer")), []);
    const locker = connect();
    locker.exec("BEGIN IMMEDIATE");
    const written = database.write([insert("in line")]);
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setTimeout(resolve));
    locker.exec("COMMIT");
    locker.close();
    await written;
    assertEquals(folder.names.filter((name) => name.includes("-writer")).toSorted(), [
      "a.db-writer",
      "a.db-writer-next",
    ]);
    await database.close();
    assertEquals(folder.names, ["a.db"]);
  },
);

testEachDriver(
  "write() goes on without its turn where the process that has it is stopped",
  async ({ open, connect, folder, file }) => {
    if (ignore) return console.log("skipped: there are no turns here");
    const database = await open();
    await database.write([createTable]);
    await using holder = await startHolder(folder, file);
    holder.kill("SIGSTOP");
    const locker = connect();
    locker.exec("BEGIN IMMEDIATE");
    const began = performance.now();
    const written = database.write([insert("first")]);
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setTimeout(resolve));
    locker.exec("COMMIT");
    await written;
    assertLess(performance.now() - began, 10_000);
    for (let n = 0; n < 100; n++) await database.write([insert(`${n}`)]);
    holder.kill("SIGKILL");
    await holder.ended();
    for (let n = 0; n < 100; n++) await database.write([insert(`${n}`)]);
    const [row] = await database.read({ sql: "SELECT count(*) AS n FROM t", params: [] });
    assertEquals(row, { n: 201 });
  },
);

testEachDriver(
  "the time that a file may be locked is over when it has passed, although the clock is set back",
  async ({ open, connect }) => {
    const clock = new ManualClock();
    let setBackMs = 0;
    const settable = {
      now: () => clock.now() - setBackMs,
      setTimer: clock.setTimer.bind(clock),
    };
    const database = await open({ clock: settable, busyTimeoutMs: 5_000 });
    await database.write([createTable]);
    const locker = connect();
    locker.exec("BEGIN IMMEDIATE");
    const error = database.write([insert("a")]).then(() => undefined, (error: Error) => error.name);
    clock.advance(await clock.nextTimer());
    setBackMs = 3_600_000;
    let passedMs = 0;
    while (passedMs < 6_000) {
      const ms = clock.timers.length > 0 ? await clock.nextTimer() : 50;
      passedMs += ms;
      clock.advance(ms);
      await new Promise((resolve) => setTimeout(resolve));
    }
    assertEquals(await Promise.race([error, Promise.resolve("still waiting")]), "StoreBusyError");
    locker.exec("ROLLBACK");
  },
);

Deno.test({
  name: "WriterLine gives no second turn to a process while another one waits for its first",
  ignore,
  async fn() {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    const line = WriterLine.join(file)!;
    await using holder = await startHolder(folder, file);
    for (let round = 1; round <= 20; round++) {
      const asked = line.turn(systemClock, 60_000);
      await holder.say("end");
      const turn = await asked;
      // It has asked again in the same instant in which it had ended its turn.
      await holder.line(`asked ${round}`);
      assert(!holder.lines.includes(`again ${round}`));
      assert(turn!.isContended);
      turn!.end();
      await holder.line(`again ${round}`);
    }
    line.leave(true);
  },
});

Deno.test({
  name: "a commit that waits for a process that writes all the time is the next but few",
  ignore,
  async fn() {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    await Deno.writeTextFile(
      folder.file("writes.ts"),
      `${OPEN}
       let isOver = false;
       Deno.stdin.read(new Uint8Array(9)).then(() => isOver = true);
       console.log("writing");
       while (!isOver) await database.write([{ sql: "INSERT INTO t (value) VALUES ('all the time')", params: [] }]);
       await database.close();`,
    );
    const database = await openDatabase(file);
    await database.write([createTable]);
    const last = { sql: "SELECT coalesce(max(rowid), 0) AS last FROM t", params: [] };
    const between: number[] = [];
    {
      await using writer = startChild(`file://${folder.file("writes.ts")}`, file);
      await writer.line("writing");
      for (let n = 0; n < 200; n++) {
        const [before] = await database.read(last);
        const results = await database.write([{ ...insert("now and then"), givesKey: true }]);
        between.push(results[0]! - Number(before!.last) - 1);
      }
      await writer.say("enough");
      assertEquals((await writer.ended()).code, 0);
    }
    await database.close();

    // But for the first, which come before both processes are in the line.
    assertLess(between.toSorted((a, b) => a - b)[190]!, 8);
  },
});
