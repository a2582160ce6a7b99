import {
  Engine,
  type StandardSchema,
  ValidationError,
  workflow,
  WorkflowConflictError,
} from "@stepwell/stepwell";
import { assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import { Crash } from "../crash.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

interface Order {
  sku: string;
  count: number;
}

/** The same schema by three libraries: `count` may be left out, and is one then. */
const schemas = {
  zod: z.object({ sku: z.string(), count: z.number().default(1) }),
  valibot: v.object({ sku: v.string(), count: v.optional(v.number(), 1) }),
  arktype: type({ sku: "string", count: "number = 1" }),
};

/** A value that its type says is none. */
// deno-lint-ignore no-explicit-any -- what a caller without types gives
const untyped = (value: unknown): any => value;

for (
  const [library, input] of Object.entries(schemas) as [string, StandardSchema<{ sku: string }, Order>][]
) {
  const order = workflow("order", { input }, (_, order) => order);

  Deno.test(`run() gives the function what the schema makes of the input (${library})`, async () => {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    await using engine = await Engine.open(file);
    assertEquals(await engine.run(order, { id: "a", input: { sku: "A1" } }), { sku: "A1", count: 1 });
    assertEquals(JSON.parse(String(query(file, "SELECT input_json FROM inputs")[0]!.input_json)), {
      sku: "A1",
      count: 1,
    });
  });

  Deno.test(`start() refuses an input with the issues of the schema (${library})`, async () => {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    await using engine = await Engine.open(file);
    const start = () => engine.start(order, { id: "a", input: untyped({ sku: 7, count: "many" }) });
    const error = await assertRejects(start, ValidationError);
    assertEquals(error.workflow, "order");
    assertEquals(error.issues.map(({ path }) => path).sort(), [["count"], ["sku"]]);
    assertEquals(error.issues.every(({ message }) => typeof message === "string" && message !== ""), true);
    assertMatch(error.message, /^Cannot start "a": its input is not what workflow "order" takes:\n {2}\./);
    assertEquals(query(file, "SELECT * FROM workflows"), []);
  });

  Deno.test(`ctx.child() gives the child what the schema makes of the input, or is refused (${library})`, async () => {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    await using engine = await Engine.open(file);
    const parent = workflow(
      "parent",
      async (ctx, input: { sku: string }) => await ctx.child(order, { input }),
    );
    assertEquals(await engine.run(parent, { id: "good", input: { sku: "A1" } }), { sku: "A1", count: 1 });
    const error = await assertRejects(
      () => engine.run(parent, { id: "bad", input: untyped({ sku: 7 }) }),
      ValidationError,
      'Cannot start child "order": its input is not what workflow "order" takes: .sku: ',
    );
    assertEquals(error.issues.map(({ path }) => path), [["sku"]]);
    assertEquals(await engine.get("bad/child:order#000001"), undefined);
  });
}

Deno.test("workflow() gives its function the type that the schema makes, and start() takes what it takes", async () => {
  const input = z.object({ at: z.string().transform((text) => new Date(text)) });
  const remind = workflow("remind", { input, version: "1", timeout: "1d" }, (_, { at }) => at.getTime());
  await using engine = await Engine.open(":memory:");
  const at: number = await engine.run(remind, { input: { at: "2030-01-01" } });
  assertEquals(at, Date.UTC(2030, 0, 1));
  // @ts-expect-error it takes a text
  await assertRejects(() => engine.run(remind, { input: { at: 7 } }), ValidationError);
  const parent = workflow("parent", (ctx) => ctx.child(remind, { input: { at: "2030-01-01" } }));
  const fromChild: number = await engine.run(parent);
  assertEquals(fromChild, at);
  const id = await engine.transaction((tx) => tx.start(remind, { input: { at: "2030-01-01" } }));
  assertEquals(await engine.handle(id).result(), at);
  // @ts-expect-error it takes a text
  const wrong = engine.transaction((tx) => tx.start(remind, { input: { at: 7 } }));
  await assertRejects(() => wrong, ValidationError);
  assertEquals([remind.version, remind.timeoutMs, remind.input], ["1", 86_400_000, input]);
});

Deno.test("workflow() refuses what is no schema", () => {
  const define = (input: unknown) => workflow("w", { input: input as StandardSchema }, () => {});
  for (const input of [{}, null, "string", () => {}, { "~standard": {} }]) {
    assertThrows(() => define(input), TypeError, "wanted a Standard Schema");
  }
});

Deno.test("an id may be started again with whatever the schema makes the same of", async () => {
  await using engine = await Engine.open(":memory:");
  const input = z.object({ count: z.coerce.number().default(1) });
  const order = workflow("order", { input }, (_, { count }) => count);
  assertEquals(await engine.run(order, { id: "a", input: { count: "3" } }), 3);
  assertEquals(await engine.run(order, { id: "a", input: { count: 3 } }), 3);
  await assertRejects(() => engine.run(order, { id: "a", input: {} }), WorkflowConflictError);
  await assertRejects(() => engine.run(order, { id: "a", input: { count: "x" } }), ValidationError);
});

Deno.test("an input that is left out is validated for a new workflow alone", async () => {
  await using engine = await Engine.open(":memory:");
  const order = workflow("order", { input: z.string() }, (_, input) => input);
  await assertRejects(() => engine.run(order, { id: "a" }), ValidationError);
  await assertRejects(() => engine.run(order), ValidationError);
  assertEquals(await engine.get("a"), undefined);
  assertEquals(await engine.run(order, { id: "a", input: "A1" }), "A1");
  assertEquals(await engine.run(order, { id: "a" }), "A1");
  const defaulted = workflow("defaulted", { input: z.string().default("none") }, (_, input) => input);
  assertEquals(await engine.run(defaulted, { id: "b" }), "none");
});

Deno.test("a schema may take its time", async () => {
  await using engine = await Engine.open(":memory:");
  const input = z.string().refine((sku) => Promise.resolve(sku.startsWith("A")), "wanted one of ours");
  const order = workflow("order", { input }, (_, sku) => sku);
  assertEquals(await engine.run(order, { input: "A1" }), "A1");
  await assertRejects(() => engine.run(order, { input: "B1" }), ValidationError, "takes: wanted one of ours");
  const parent = workflow("parent", (ctx, input: string) => ctx.child(order, { input }));
  assertEquals(await engine.run(parent, { input: "A1" }), "A1");
  await assertRejects(() => engine.run(parent, { input: "B1" }), ValidationError, "wanted one of ours");
});

Deno.test("that an input was refused is a part of the history, whatever the schema says later", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  let asked = 0;
  const parent = (input: z.ZodType<string>) => {
    const child = workflow("child", { input }, (_, input) => input);
    return workflow("parent", async (ctx) => {
      const refused = await ctx.child(child, { input: "B1" }).catch((error) => error);
      await ctx.step("wait", () => crash.here());
      return refused instanceof ValidationError ? refused.issues : refused;
    });
  };
  const strict = z.string().regex(/^A/, "wanted one of ours");
  const lax = z.string().refine(() => ++asked > 0);
  await crash.happens(file, parent(strict), { id: "p" });
  await using engine = await Engine.open(file);
  assertEquals<unknown>(await engine.run(parent(lax), { id: "p" }), [{
    message: "wanted one of ours",
    path: [],
  }]);
  assertEquals(asked, 0);
});

Deno.test("ValidationError names the place of each issue, and keeps a hundred", async () => {
  await using engine = await Engine.open(":memory:");
  const input = z.array(z.object({ "a b": z.string(), c: z.object({ d: z.string() }) }));
  const list = workflow("list", { input }, () => {});
  const bad = untyped(Array.from({ length: 60 }, () => ({ c: {} })));
  const error = await assertRejects(() => engine.run(list, { id: "a", input: bad }), ValidationError);
  assertEquals(error.issues.length, 100);
  assertEquals(error.issues.slice(0, 2).map(({ path }) => path), [[0, "a b"], [0, "c", "d"]]);
  assertMatch(error.message, /\n {2}\[0\]\["a b"\]: .+\n {2}\[0\]\.c\.d: .+\n[^]*\n {2}and 80 more$/);
});

Deno.test("what a schema throws is thrown on, and nothing is started", async () => {
  await using engine = await Engine.open(":memory:");
  const input = z.string().refine(() => {
    throw new RangeError("Broken");
  });
  const order = workflow("order", { input }, () => {});
  await assertRejects(() => engine.run(order, { id: "a", input: "x" }), RangeError, "Broken");
  assertEquals(await engine.get("a"), undefined);
});

Deno.test("a schema that breaks the standard is told by the workflow's name, and nothing starts", async () => {
  const breaks = 'the schema of workflow "order" breaks Standard Schema: wanted ';
  const cases: [unknown, string][] = [
    [undefined, "a result with value or issues, found undefined"],
    [null, "a result with value or issues, found null"],
    ["fine", 'a result with value or issues, found "fine"'],
    [{}, "a result with value or issues, found an object"],
    [{ issues: "none" }, 'an array of issues, found "none"'],
    [{ issues: { length: 1e9 } }, "an array of issues, found an object"],
    [{ issues: 1, value: 1 }, "an array of issues, found 1"],
  ];
  await using engine = await Engine.open(":memory:");
  for (const [result, message] of cases) {
    for (const given of [result, Promise.resolve(result)]) {
      const input = { "~standard": { version: 1, vendor: "test", validate: () => given } } as StandardSchema;
      const order = workflow("order", { input }, () => "done");
      await assertRejects(() => engine.run(order, { id: "o", input: 1 }), TypeError, breaks + message);
    }
  }
  assertEquals(await engine.list(), []);
});

Deno.test("issues that are none of the standard are told as far as they can be read", async () => {
  const hostile = {
    get message() {
      throw new Error("No");
    },
  };
  const issues = [
    null,
    5,
    {},
    { message: 7 },
    { message: "m", path: 3 },
    {
      message: "m",
      path: [null, { key: "a" }, {}, Symbol("s"), 1],
    },
    hostile,
    { message: "m", path: Array(1_000_000).fill("p") },
  ];
  const input = { "~standard": { version: 1, vendor: "test", validate: () => ({ issues }) } };
  await using engine = await Engine.open(":memory:");
  const order = workflow("order", { input: untyped(input) }, () => "done");
  const error = await assertRejects(() => engine.run(order, { input: untyped(1) }), ValidationError);
  assertEquals(error.issues.length, issues.length);
  assertEquals(error.issues[5], { message: "m", path: ["null", "a", "undefined", "Symbol(s)", 1] });
  assertEquals(error.message.length < 5_000, true);
  // A schema that throws is its own affair, and goes to the caller.
  const validate = () => {
    throw new RangeError("mine");
  };
  const mine = workflow(
    "mine",
    { input: { "~standard": { version: 1, vendor: "test", validate } } },
    () => 1,
  );
  await assertRejects(() => engine.run(mine, { input: untyped(1) }), RangeError, "mine");
});

Deno.test("workflow() refuses a schema that is none", () => {
  const hostile = {
    get "~standard"() {
      throw new Error("No");
    },
  };
  for (const input of [null, 5, "string", {}, { "~standard": {} }, { "~standard": null }, hostile]) {
    assertThrows(
      () => workflow("order", { input: untyped(input) }, () => 1),
      TypeError,
      'Cannot define workflow "order": wanted a Standard Schema as input, found ',
    );
  }
});
