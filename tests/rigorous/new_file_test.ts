import { assertEquals } from "@std/assert";
import { startChild } from "../child_process.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";
import { RIGOROUS } from "../effort.ts";

const FILES = RIGOROUS ? 500 : 60;
const NAMES = ["north", "east", "south", "west"];

Deno.test("Engine.open() makes one store of a new file that four processes open at the same time", async () => {
  await using folder = temporaryFolder();
  const files = Array.from({ length: FILES }, (_, number) => folder.file(`new-${number}.db`));
  await using stack = new AsyncDisposableStack();
  const workers = NAMES.map((name) =>
    stack.use(startChild(import.meta.resolve("./new_file_worker.ts"), name, ...files))
  );
  await Promise.all(workers.map((worker) => worker.line("ready")));
  await Promise.all(workers.map((worker) => worker.say("go on")));

  for (const worker of workers) {
    const { code, stderr } = await worker.ended();
    assertEquals({ code, stderr }, { code: 0, stderr: "" });
  }
  for (const file of files) {
    const rows = query(file, "SELECT workflow_id, status FROM workflows ORDER BY workflow_id");
    assertEquals(rows, NAMES.toSorted().map((name) => ({ workflow_id: name, status: "completed" })));
  }
});
