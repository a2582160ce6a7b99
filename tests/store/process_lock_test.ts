import { assertEquals } from "@std/assert";
import { openBuiltin } from "../../engine/store/builtin_driver.ts";
import { ProcessLocks } from "../../engine/store/process_lock.ts";
import { startChild } from "../child_process.ts";
import { eventually } from "../eventually.ts";
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
