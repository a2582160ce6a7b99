import { Engine, workflow, WorkflowConflictError } from "@stepwell/stepwell";
import { assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import { Crash } from "../crash.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

interface Order {
  sku: string;
  count: number;
}

let calls = 0;
const order = workflow("order", (ctx, input: Order) => ctx.step("pay", () => `${++calls}: ${input.sku}`));

Deno.test("run() of an id that has completed returns the stored output, and runs nothing", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  calls = 0;
  for (let i = 0; i < 3; i++) {
    await using engine = await Engine.open(file);
    for (let k = 0; k < 2; k++) {
      assertEquals(await engine.run(order, { id: "order-1", input: { sku: "A1", count: 1 } }), "1: A1");
    }
  }
  assertEquals(calls, 1);
});

Deno.test("run() of one id several times at once is one run", async () => {
  await using folder = temporaryFolder();
  await using engine = await Engine.open(folder.file("a.db"));
  calls = 0;
  const start = { id: "order-1", input: { sku: "A1", count: 1 } };
  const results = await Promise.all(Array.from({ length: 20 }, () => engine.run(order, start)));
  assertEquals(new Set(results), new Set(["1: A1"]));
  assertEquals(calls, 1);
});

Deno.test("run() without an id makes a new workflow each time", async () => {
  await using engine = await Engine.open(":memory:");
  const first = await engine.start(order, { input: { sku: "A1", count: 1 } });
  const second = await engine.start(order, { input: { sku: "A1", count: 1 } });
  await Promise.all([first.result(), second.result()]);
  assertNotEquals(first.id, second.id);
  assertMatch(first.id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

Deno.test("start() returns once the start is durable", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await using engine = await Engine.open(file);
  const handle = await engine.start(order, { id: "order-1", input: { sku: "A1", count: 1 } });
  const [row] = query(file, "SELECT workflow_id, input_json FROM workflows JOIN inputs USING (workflow)");
  assertEquals(row, { workflow_id: "order-1", input_json: '{"sku":"A1","count":1}' });
  assertEquals(handle.id, "order-1");
  await handle.result();
});

Deno.test("starting an id with another workflow's name is a WorkflowConflictError that shows both", async () => {
  await using folder = temporaryFolder();
  await using engine = await Engine.open(folder.file("a.db"));
  const refund = workflow("refund", () => "refunded");
  const waiting = Promise.withResolvers<void>();
  const slow = workflow("slow", (ctx) => ctx.step("wait", () => waiting.promise));
  await engine.run(order, { id: "ended", input: { sku: "A1", count: 1 } });
  await engine.start(slow, { id: "running" });
  for (const [id, name] of [["ended", "order"], ["running", "slow"]] as const) {
    const error = await assertRejects(() => engine.start(refund, { id }), WorkflowConflictError);
    assertEquals(
      error.message,
      `Cannot start "${id}": it was started with the workflow "${name}", and is asked for with the workflow "refund"`,
    );
    assertEquals([error.what, error.workflowId], ["workflow", id]);
  }
  waiting.resolve();
  await engine.handle("running").result();
});

Deno.test("starting an id with another input is a WorkflowConflictError that shows neither", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const waiting = workflow("waiting", (ctx, _: Order) => ctx.step("wait", () => crash.here()));
  await crash.happens(file, waiting, { id: "lost", input: { sku: "A1", count: 1 } });
  await using engine = await Engine.open(file);
  await engine.run(order, { id: "ended", input: { sku: "A1", count: 1 } });
  for (const [id, definition] of [["lost", waiting], ["ended", order]] as const) {
    const error = await assertRejects(
      () => engine.start<Order, unknown>(definition, { id, input: { sku: "A1", count: 2 } }),
      WorkflowConflictError,
    );
    assertEquals(
      error.message,
      `Cannot start "${id}": its stored input (22 characters) is not the one that was given (22 characters); ` +
        "engine.get() shows the stored one",
    );
    // Inputs may be personal, and errors go into logs.
    assertEquals([error.stored, error.asked], ["22 characters", "22 characters"]);
    for (const text of [Deno.inspect(error), JSON.stringify(error), error.stack!]) {
      assertEquals(/A1|sku/.test(text), false, text);
    }
  }
  assertEquals(await engine.handle("lost").status(), "running");
});

Deno.test("WorkflowConflictError is short where an input is long", async () => {
  await using engine = await Engine.open(":memory:");
  const echo = workflow("echo", (_, input: string) => input);
  await engine.run(echo, { id: "e", input: "a".repeat(100_000) });
  const other = () => engine.run(echo, { id: "e", input: "b" });
  const error = await assertRejects(other, WorkflowConflictError, "(100002 characters)");
  assertEquals(error.message.length < 500, true);
});

Deno.test("an input is the same whatever the order of its properties", async () => {
  await using engine = await Engine.open(":memory:");
  await engine.run(order, { id: "plain", input: { sku: "A1", count: 1 } });
  await engine.run(order, { id: "plain", input: { count: 1, sku: "A1" } });
  const echo = workflow("echo", (_, input: { when: Date; nested: { a: bigint; b: number } }) => input.when);
  const when = new Date(5);
  await engine.run(echo, { id: "rich", input: { when, nested: { a: 1n, b: 2 } } });
  assertEquals(await engine.run(echo, { id: "rich", input: { nested: { b: 2, a: 1n }, when } }), when);
  const other = { when: new Date(6), nested: { a: 1n, b: 2 } };
  await assertRejects(() => engine.run(echo, { id: "rich", input: other }), WorkflowConflictError);
});

Deno.test("an input is not the same as one in another order of items, of another type, or none", async () => {
  await using engine = await Engine.open(":memory:");
  const echo = workflow("echo", (_, input: unknown) => input);
  await engine.run(echo, { id: "list", input: [1, 2] });
  for (const input of [[2, 1], ["1", 2], [1, 2, null], null, {}]) {
    await assertRejects(() => engine.run(echo, { id: "list", input }), WorkflowConflictError);
  }
  await engine.run(echo, { id: "none" });
  await assertRejects(
    () => engine.run(echo, { id: "none", input: null }),
    WorkflowConflictError,
    "its stored input (none)",
  );
});

Deno.test("an id that is known may be started without its input", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const echo = workflow("echo", async (ctx, input: string) => {
    await ctx.step("wait", () => crash.here());
    return input;
  });
  await crash.happens(file, echo, { id: "e", input: "first" });
  await using engine = await Engine.open(file);
  assertEquals(await engine.run(echo, { id: "e" }), "first");
  assertEquals(await engine.run(echo, { id: "e" }), "first");
});

Deno.test("start() refuses an id that is none, and what is not a workflow", async () => {
  await using engine = await Engine.open(":memory:");
  const start = (id: unknown) => engine.start(order, { id: id as string, input: { sku: "", count: 0 } });
  await assertRejects(() => start(""), RangeError, "a workflow id: wanted 1 to 256 characters, found 0");
  await assertRejects(() => start("x".repeat(257)), RangeError, "found 257");
  await assertRejects(() => start(5), TypeError, "wanted a string, found number");
  await assertRejects(() => start(null), TypeError, "wanted a string, found null");
  await assertRejects(() => start("a\nb"), TypeError, "control characters");
  await assertRejects(() => engine.start((() => {}) as never), TypeError, "wanted what workflow() returns");
  assertEquals(await engine.list(), []);
});

Deno.test("workflows may have ids of any writing", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const ids = ["order/17", "注文 17", "'; DROP TABLE workflows; --", " ", "💴".repeat(128), "ORDER", "order"];
  await using engine = await Engine.open(file);
  const name = workflow("name", (ctx) => ctx.step("id", ({ idempotencyKey }) => idempotencyKey));
  for (const id of ids) assertEquals(await engine.run(name, { id }), `${id}/id#000001`);
  assertEquals((await engine.list()).map(({ id }) => id), ids.toReversed());
});

Deno.test("a hundred workflows run at once, each with what is its own", async () => {
  await using folder = temporaryFolder();
  await using engine = await Engine.open(folder.file("a.db"));
  const sum = workflow("sum", async (ctx, n: number) => {
    let total = 0;
    for (let i = 0; i < 5; i++) total += await ctx.step("add", () => n);
    return total;
  });
  const inputs = Array.from({ length: 100 }, (_, i) => i);
  const sums = await Promise.all(inputs.map((input) => engine.run(sum, { id: `sum-${input}`, input })));
  assertEquals(sums, inputs.map((n) => 5 * n));
});
