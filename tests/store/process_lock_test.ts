import { StoreError } from "@stepwell/stepwell";
import { assertEquals, assertThrows } from "@std/assert";
import { openBuiltin } from "../../engine/store/builtin_driver.ts";
import { ProcessLocks } from "../../engine/store/process_lock.ts";
import { startChild } from "../child_process.ts";
import { eventually } from "../eventually.ts";
import { execute } from "../raw_sqlite.ts";
import { type TemporaryFolder, temporaryFolder } from "../temporary_folder.ts";
import { testEachDriver } from "./each_driver.ts";

function lockFiles(folder: TemporaryFolder): string[] {
  return folder.names.filter((name) => name.includes("executor"));
}

testEachDriver("an executor whose lock is held is alive, and gone once it is dropped", async ({ open }) => {
  const holder = await open();
  const other = await open();
  holder.holdLock(17);
  holder.holdLock(17);
  assertEquals([other.probeLock(17), holder.probeLock(17)], ["alive", "alive"]);
  assertEquals([other.probeLock(17), holder.probeLock(17)], ["alive", "alive"]);
  await holder.close();
  assertEquals(other.probeLock(17), "gone");
  assertEquals(other.probeLock(17), "gone");
});

testEachDriver("an executor of which there is no lock file is unknown", async ({ open, folder }) => {
  const database = await open();
  assertEquals(database.probeLock(17), "unknown");
  assertEquals(lockFiles(folder), []);
});

testEachDriver(
  "clearLock() removes what an executor has left behind, and may be called again",
  async ({ open, folder }) => {
    const holder = await open();
    const other = await open();
    holder.holdLock(17);
    assertEquals(lockFiles(folder)[0], "a.db-executor-000000000011");
    await holder.close();
    other.clearLock(17);
    other.clearLock(17);
    assertEquals(other.probeLock(17), "unknown");
    assertEquals(lockFiles(folder), []);
  },
);

testEachDriver("locks of several executors do not touch each other", async ({ open }) => {
  const [one, two, three] = [await open(), await open(), await open()];
  one.holdLock(1);
  two.holdLock(2);
  two.holdLock(2 ** 47);
  assertEquals([1, 2, 2 ** 47].map((id) => three.probeLock(id)), ["alive", "alive", "alive"]);
  two.clearLock(2);
  assertEquals([1, 2, 2 ** 47].map((id) => three.probeLock(id)), ["alive", "unknown", "alive"]);
  await one.close();
  assertEquals([1, 2, 2 ** 47].map((id) => three.probeLock(id)), ["gone", "unknown", "alive"]);
});

Deno.test("a lock tells a process that is paused from one that is gone", async () => {
  await using folder = temporaryFolder();
  const path = folder.file("a.db");
  await Deno.writeTextFile(
    folder.file("holder.ts"),
    `import { openBuiltin } from "${import.meta.resolve("../../engine/store/builtin_driver.ts")}";
     import { ProcessLocks } from "${import.meta.resolve("../../engine/store/process_lock.ts")}";
     new ProcessLocks(${JSON.stringify(path)}, openBuiltin).hold(17);
     console.log("held");
     setInterval(() => {}, 1_000_000);`,
  );
  const locks = new ProcessLocks(path, openBuiltin);
  await using holder = startChild(`file://${folder.file("holder.ts")}`);
  await holder.line("held");
  assertEquals(locks.probe(17), "alive");
  holder.kill("SIGSTOP");
  assertEquals(locks.probe(17), "alive");
  holder.kill("SIGKILL");
  await eventually(() => locks.probe(17) === "gone");
  locks.clear(17);
  assertEquals(lockFiles(folder), []);
});

Deno.test("what is no lock's file is neither locked nor changed nor removed, nor is what a link leads to", async () => {
  await using folder = temporaryFolder();
  const victim = folder.file("victim.db");
  execute(victim, "PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)");
  const before = await Deno.readFile(victim);
  const path = folder.file("a.db");
  const lockFile = (executor: number) => `${path}-executor-${executor.toString(16).padStart(12, "0")}`;
  await Deno.symlink(victim, lockFile(1));
  await Deno.symlink(folder.file("not_there.db"), lockFile(2));
  await Deno.link(victim, lockFile(3));
  await Deno.writeTextFile(lockFile(4), "a letter");
  await Deno.mkdir(lockFile(5));
  const names = folder.names.toSorted();

  const locks = new ProcessLocks(path, openBuiltin);
  for (const executor of [1, 2, 3, 4, 5]) {
    assertThrows(() => locks.hold(executor), StoreError, "wanted an empty file, found something else");
    assertEquals(locks.probe(executor), "unknown");
    locks.clear(executor);
  }
  locks.hold(6);
  await Deno.remove(lockFile(6));
  await Deno.symlink(victim, lockFile(6));
  locks.clear(6);
  await Deno.remove(lockFile(6));
  assertEquals(folder.names.toSorted(), names);
  assertEquals(await Deno.readTextFile(lockFile(4)), "a letter");
  assertEquals(await Deno.readFile(victim), before);
});
