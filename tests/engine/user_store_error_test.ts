import {
  type Context,
  Engine,
  type StandardSchema,
  StoreError,
  type Workflow,
  workflow,
} from "@stepwell/stepwell";
import { assertEquals, assertRejects } from "@std/assert";

/** An error of another store, as code of users may have caught it. */
async function storeErrorOfAnother(): Promise<StoreError> {
  await using folderless = await Engine.open(":memory:");
  await folderless.transaction((tx) => tx.run("CREATE TABLE t (a)"));
  return new StoreError("Cannot use the warehouse: it is full");
}

const error = await storeErrorOfAnother();
const throwing = {
  get field(): string {
    throw error;
  },
};

function schemaThatThrows(isAsync: boolean): StandardSchema<string> {
  const validate = () => {
    if (isAsync) return Promise.reject(error);
    throw error;
  };
  return { "~standard": { version: 1, vendor: "test", validate } };
}

/** Where code of users may throw a StoreError in a workflow: each fails, and says so. */
const PLACES: Record<string, (ctx: Context) => Promise<unknown>> = {
  "in a step": (ctx) => ctx.step("a", () => Promise.reject(error)),
  "in a step, at once": (ctx) =>
    ctx.step("a", () => {
      throw error;
    }),
  "in a transaction": (ctx) => ctx.transaction("a", () => Promise.reject(error)),
  "in a transaction, at once": (ctx) =>
    ctx.transaction("a", () => {
      throw error;
    }),
  "in a transaction, after SQL": (ctx) =>
    ctx.transaction("a", async (tx) => {
      await tx.all("SELECT 1");
      throw error;
    }),
  "in what a step returns": (ctx) => ctx.step("a", () => throwing),
  "in what a transaction returns": (ctx) => ctx.transaction("a", () => throwing),
  "in what is published": (ctx) => ctx.publish("a", throwing),
  "in what is emitted": (ctx) => ctx.emit("a", throwing),
  "in the input of a child": (ctx) =>
    ctx.child(workflow("child", (_, input: unknown) => input), { input: throwing }),
  "in the schema of a child": (ctx) =>
    ctx.child(workflow("child", { input: schemaThatThrows(false) }, () => 1), { input: "a" }),
  "in an asynchronous schema of a child": (ctx) =>
    ctx.child(workflow("child", { input: schemaThatThrows(true) }, () => 1), { input: "a" }),
  "in the schema of a workflow that a transaction starts": (ctx) =>
    ctx.transaction(
      "a",
      (tx) => tx.start(workflow("started", { input: schemaThatThrows(false) }, () => 1), { input: "a" }),
    ),
  "in the payload of a signal that a transaction sends": (ctx) =>
    ctx.transaction("a", (tx) => tx.signal("w", "go", throwing)),
  "in retryable": (ctx) =>
    ctx.step("a", () => Promise.reject(new Error("No")), {
      retry: {
        maxAttempts: 3,
        retryable: () => {
          throw error;
        },
      },
    }),
};

for (const [where, act] of Object.entries(PLACES)) {
  Deno.test(`a StoreError that is thrown ${where} fails that, and suspends nothing`, async () => {
    await using engine = await Engine.open(":memory:");
    const caught = workflow(
      "caught",
      async (ctx) => await act(ctx).then(() => "none", (error) => error.message),
    );
    const message = await engine.run(caught, { id: "caught" });
    assertEquals(/full|cannot store/i.test(message as string), true, `${message}`);
    const failing = workflow("failing", (ctx) => act(ctx));
    await assertRejects(() => engine.run(failing, { id: "failing" }), Error, message as string);
    assertEquals(await engine.handle("failing").status(), "failed");
  });
}

Deno.test("a StoreError that a workflow throws, or that is in its output, is its failure", async () => {
  await using engine = await Engine.open(":memory:");
  const workflows: Record<string, Workflow<void, unknown>> = {
    throws: workflow("throws", () => Promise.reject(error)),
    returns: workflow("returns", () => throwing),
    undoes: workflow("undoes", async (ctx) => {
      await ctx.step("a", () => 1, { compensate: () => {} });
      return throwing;
    }),
  };
  for (const [id, definition] of Object.entries(workflows)) {
    await assertRejects(() => engine.run(definition, { id }), Error);
    assertEquals(await engine.handle(id).status(), "failed", id);
  }
});

Deno.test("a StoreError of the schema of a workflow that was enqueued by its name fails that workflow", async () => {
  const strict = workflow("strict", { input: schemaThatThrows(true) }, () => 1);
  await using engine = await Engine.open(":memory:", { workflows: [strict] });
  const handle = await engine.enqueue("strict", { id: "s", input: "a" });
  engine.work();
  await assertRejects(() => handle.result(), StoreError, "the warehouse");
  assertEquals(await handle.status(), "failed");
});

Deno.test("a StoreError in what undoes a step blocks the workflow as any other error does", async () => {
  await using engine = await Engine.open(":memory:");
  const saga = workflow("saga", async (ctx) => {
    const undo = () => Promise.reject(error);
    await ctx.step("a", () => 1, { compensate: { undo, retry: { maxAttempts: 1 } } });
    throw new Error("No");
  });
  await assertRejects(() => engine.run(saga, { id: "s" }), Error, "the warehouse");
  assertEquals(await engine.handle("s").status(), "blocked");
});
