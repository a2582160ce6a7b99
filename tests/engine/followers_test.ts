import { Engine, workflow } from "@stepwell/stepwell";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { openCrashing } from "../crashing_database.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { temporaryFolder } from "../temporary_folder.ts";

const job = workflow("job", async (ctx, input: number) => {
  await ctx.publish("progress", input);
  return await ctx.step("work", () => input);
});

Deno.test("result() of very many workflows that others run is told of each, and reads only those that something happened to", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  let reads = 0;
  const { engine: waiting, database } = await openCrashing(file, { clock }, ({ name, when }) => {
    if (name === "read" && when === "before") reads++;
    return false;
  });
  await using _ = waiting;
  const count = 1_200;
  const handles = await Promise.all(
    Array.from(
      { length: count },
      (_, input) => waiting.enqueue<number, number>("job", { id: `${input}`, input }),
    ),
  );
  let ended = 0;
  const results = Promise.all(handles.map(async (handle) => {
    const result = await handle.result();
    ended++;
    return result;
  }));
  await eventually(() => reads >= count);
  reads = 0;
  await using other = await Engine.open(file, { workflows: [job] });
  const tick = () => clock.advance(10);
  // A first commit of another process has all looked at, one by one.
  await other.resume("0").then((handle) => handle.result());
  await eventually(() => (tick(), ended === 1));
  await eventually(() => (tick(), reads >= count));
  const before = reads;
  for (const id of ["7", "1199"]) await (await other.resume(id)).result();
  await eventually(() => (tick(), ended === 3));
  assert(reads - before < count / 2, `${reads - before} reads`);

  other.work();
  await eventually(() => (tick(), ended === count));
  assertEquals(await results, Array.from({ length: count }, (_, i) => i));
  assert(database.calls > 0);
});

Deno.test("read() and stream() are told of what another process shows, among many who wait", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const steady = workflow("steady", async (ctx) => {
    for (const value of [1, 2, 3]) {
      await ctx.waitForSignal("go");
      await ctx.emit("values", value);
    }
  });
  await using reader = await Engine.open(file);
  await using writer = await Engine.open(file, { workflows: [steady] });
  await writer.start(steady, { id: "one" });
  await writer.start(steady, { id: "two" });
  const quiet = reader.handle("two").result();
  const stream = reader.handle("one").stream<number>("values");
  const values: number[] = [];
  for (const value of [1, 2, 3]) {
    await writer.signal("one", "go");
    values.push((await stream.next()).value.value);
    assertEquals(values.at(-1), value);
  }
  assertEquals((await stream.next()).done, true);
  const refused = assertRejects(() => quiet);
  await reader.close();
  await refused;
});
