import { Engine, type EngineEvent, workflow, WorkflowNotFoundError } from "@stepwell/stepwell";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { eventually } from "../eventually.ts";
import { temporaryFolder } from "../temporary_folder.ts";

const gate = () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  return { definition: workflow("gate", (ctx) => ctx.step("wait", () => promise)), open: resolve };
};

Deno.test("handle.result() gives the output to everybody who waits for it", async () => {
  await using folder = temporaryFolder();
  await using engine = await Engine.open(folder.file("a.db"));
  const { definition, open } = gate();
  const handle = await engine.start(definition, { id: "g" });
  const results = [
    handle.result(),
    handle.result(),
    engine.handle("g").result(),
    engine.run(definition, { id: "g" }),
  ];
  open("done");
  assertEquals(await Promise.all(results), ["done", "done", "done", "done"]);
  assertEquals(await engine.handle("g").result(), "done");
});

Deno.test("handle.result() rejects with the workflow's error, and what nobody asks for ends no process", async () => {
  await using engine = await Engine.open(":memory:");
  const failing = workflow("failing", (ctx) => ctx.step("call", () => Promise.reject(new TypeError("No"))));
  const handle = await engine.start(failing, { id: "f" });
  await eventually(async () => await handle.status() === "failed");
  await assertRejects(() => handle.result(), TypeError, "No");
});

Deno.test("handle.status() follows the workflow", async () => {
  await using folder = temporaryFolder();
  await using engine = await Engine.open(folder.file("a.db"));
  const { definition, open } = gate();
  const handle = await engine.start(definition);
  assertEquals(await handle.status(), "running");
  open("done");
  await handle.result();
  assertEquals(await handle.status(), "completed");
});

Deno.test("engine.handle() gives a handle of any id; what is asked of an unknown one is a WorkflowNotFoundError", async () => {
  await using engine = await Engine.open(":memory:");
  const handle = engine.handle("nobody");
  assertEquals(handle.id, "nobody");
  await assertRejects(() => handle.status(), WorkflowNotFoundError);
  await assertRejects(() => handle.result(), WorkflowNotFoundError);
  await assertRejects(async () => await engine.handle("").status(), RangeError);
});

Deno.test("handle.result() waits for a workflow that another process runs", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await using owner = await Engine.open(file);
  await using other = await Engine.open(file);
  const { definition, open } = gate();
  await owner.start(definition, { id: "g" });
  const result = other.handle<string>("g").result();
  open("done");
  assertEquals(await result, "done");
});

Deno.test("handle.result() waits for a workflow that nobody runs, until somebody does", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  {
    await using engine = await Engine.open(file, { closeGrace: 0 });
    await engine.start(gate().definition, { id: "g" });
  }
  const { definition, open } = gate();
  await using engine = await Engine.open(file, { workflows: [definition] });
  assertEquals(await engine.handle("g").status(), "pending");
  const result = engine.handle<string>("g").result();
  await engine.resume("g");
  open("done");
  assertEquals(await result, "done");
});

Deno.test("handle.events() gives what happens to the workflow from now to the end of its run", async () => {
  await using folder = temporaryFolder();
  const all: EngineEvent[] = [];
  await using engine = await Engine.open(folder.file("a.db"), { onEvent: (event) => all.push(event) });
  const two = workflow("two", async (ctx) => {
    await ctx.step("a", () => 1);
    await ctx.step("b", () => 2);
  });
  await engine.run(two, { id: "other" });
  const handle = await engine.start(two, { id: "mine" });
  const events: EngineEvent[] = [];
  for await (const event of handle.events()) {
    events.push(event);
    await new Promise((resolve) => setTimeout(resolve));
  }
  assertEquals(events, all.filter(({ workflowId }) => workflowId === "mine"));
  assertEquals(events.at(-1)!.type, "completed");
});

Deno.test("a handle is itself an iterable of its events, for several readers", async () => {
  await using engine = await Engine.open(":memory:");
  const { definition, open } = gate();
  const handle = await engine.start(definition);
  const read = async () => {
    const types: string[] = [];
    for await (const { type } of handle) types.push(type);
    return types;
  };
  const readers = [read(), read()];
  open("done");
  const [first, second] = await Promise.all(readers);
  assertEquals(first, second);
  assert(first!.includes("stepCompleted"));
});

Deno.test("handle.events() may be left early", async () => {
  await using engine = await Engine.open(":memory:");
  const { definition, open } = gate();
  const handle = await engine.start(definition);
  for await (const event of handle.events()) {
    assertEquals(event.type, "started");
    break;
  }
  open("done");
  assertEquals(await handle.result(), "done");
});

Deno.test("handle.events() ends when the engine is closed, whether the workflow runs or not", async () => {
  const engine = await Engine.open(":memory:", { closeGrace: 0 });
  const handle = await engine.start(gate().definition, { id: "running" });
  const typesOf = async (id: string) => {
    const types: string[] = [];
    for await (const { type } of engine.handle(id).events()) types.push(type);
    return types;
  };
  const readers = [typesOf("running"), typesOf("nobody")];
  for await (const { type } of handle.events()) if (type === "stepStarted") break;
  await engine.close();
  const [running, nobody] = await Promise.all(readers);
  assertEquals([running!.at(-1), nobody], ["suspended", []]);
  assertEquals(await typesOf("running"), []);
});

Deno.test("handle.events() gives events to readers that came before them, in the order in which they came", async () => {
  await using engine = await Engine.open(":memory:");
  const { definition, open } = gate();
  const events = engine.handle("g").events();
  const first = events.next();
  const second = events.next();
  const handle = await engine.start(definition, { id: "g" });
  assertEquals([(await first).value.type, (await second).value.type], ["started", "stepStarted"]);
  open("done");
  await handle.result();
  assertEquals((await events.next()).value.type, "stepReturned");
  await events.return!();
  assertEquals((await events.next()).done, true);
});
