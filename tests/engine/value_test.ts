import { Engine, LimitExceededError, SerializationError, step, workflow } from "@stepwell/stepwell";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import { Crash } from "../crash.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** What a workflow gets of a step's result: the first time, and in a replay; and the text that is stored. */
async function keep(value: unknown): Promise<{ live: unknown; replayed: unknown; text: unknown }> {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const seen: unknown[] = [];
  const keeping = workflow("keeping", async (ctx) => {
    seen.push(await ctx.step("make", () => value as undefined));
    await ctx.step("wait", () => crash.here());
  });
  await crash.happens(file, keeping, { id: "k" });
  await using engine = await Engine.open(file);
  await engine.run(keeping, { id: "k" });
  const [row] = query(file, "SELECT output_json FROM steps WHERE step_key = 'make#000001'");
  return { live: seen[0], replayed: seen[1], text: row!.output_json };
}

Deno.test("plain values are stored as plain JSON", async () => {
  const values = [
    null,
    true,
    0,
    -1.5e300,
    "",
    "text with 'quotes', \"more\", \n, \u0000, 💴 and \ud800",
    [],
    {},
    [1, [2, [3]]],
    { a: { b: [{ c: null }] }, "": 1, "with space": "x" },
    JSON.parse('{"__proto__": 1, "constructor": 2}'),
  ];
  for (const value of values) {
    const { live, replayed, text } = await keep(value);
    assertEquals(text, JSON.stringify(value));
    assertEquals(JSON.stringify(live), text);
    assertEquals(JSON.stringify(replayed), text);
  }
});

Deno.test("undefined is stored as no text", async () => {
  assertEquals(await keep(undefined), { live: undefined, replayed: undefined, text: null });
});

Deno.test("values that JSON cannot say come back as they were", async () => {
  const values = [
    new Date(17),
    new Map<unknown, unknown>([["a", 1], [{ b: 2 }, new Set([3])]]),
    new Set(["x", new Date(0)]),
    12345678901234567890n,
    Uint8Array.of(1, 2, 255),
    new Float64Array([0.5, -1]),
    NaN,
    Infinity,
    -Infinity,
    /ab+c/gi,
    new URL("https://example.com/?a=1"),
    { nested: { undefined: undefined, list: [undefined, 1n] } },
    { $devalue: "plain, but it looks like ours" },
    { deep: { $devalue: 1 } },
  ];
  for (const value of values) {
    const { live, replayed } = await keep(value);
    assertEquals(live, value);
    assertEquals(replayed, value);
  }
  assert(Object.is((await keep(-0)).replayed, -0));
});

Deno.test("a list with holes keeps them", async () => {
  // deno-lint-ignore no-sparse-arrays -- that is what it is about
  const { live, replayed } = await keep([1, , 3]);
  for (const list of [live, replayed] as number[][]) {
    assertEquals([list.length, 1 in list, list[2]], [3, false, 3]);
  }
});

Deno.test("values that go round in a circle, and parts that are shared, come back so", async () => {
  const shared = { when: new Date(5) };
  const value: Record<string, unknown> = { left: shared, right: shared };
  value.self = value;
  for (const seen of [(await keep(value)).live, (await keep(value)).replayed] as typeof value[]) {
    assert(seen.self === seen);
    assert(seen.left === seen.right);
    assertEquals(seen.left, shared);
  }
});

Deno.test("errors in a value come back as errors", async () => {
  const error = new TypeError("No", { cause: new Error("Why") });
  const { live, replayed } = await keep({ results: [error] });
  for (const seen of [live, replayed] as { results: Error[] }[]) {
    assert(seen.results[0] instanceof TypeError);
    assertEquals([seen.results[0].message, (seen.results[0].cause as Error).message], ["No", "Why"]);
  }
});

Deno.test("a workflow never sees more of a result than what is stored of it, the first time neither", async () => {
  await using engine = await Engine.open(":memory:");
  const shared = { n: 1 };
  const own = workflow("own", async (ctx) => {
    const seen = await ctx.step("make", () => ({ a: shared, b: shared }));
    shared.n = 2;
    return [seen.a === seen.b, seen.a.n];
  });
  assertEquals(await engine.run(own), [false, 1]);
});

class Money {
  constructor(readonly cents: number) {}
}

class Tags extends Array<string> {}
class Cart extends Map<string, number> {}

Deno.test("what would come back as something less is refused, and named", async () => {
  const cases: [unknown, path: string, found: string][] = [
    ["2026-11".match(/(?<year>\d+)/), "", 'an array with the property "index"'],
    [
      { tags: [Tags.of("a")] },
      ".tags[0]",
      "an instance of the class Tags, which would come back as one of Array",
    ],
    [new Map([["cart", new Cart()]]), '.get("cart")', "an instance of the class Cart"],
    [Buffer.from("a"), "", "an instance of the class Buffer, which would come back as one of Uint8Array"],
    [{ at: Object.assign(new Date(0), { zone: 1 }) }, ".at", 'an instance of Date with the property "zone"'],
    [new Set([Object.assign(new Date(0), { zone: 1 })]), "", 'the property "zone"'],
  ];
  await using engine = await Engine.open(":memory:");
  for (const [value, path, found] of cases) {
    const keeping = workflow("keeping", (ctx) => ctx.step("make", () => value as undefined));
    const error = await assertRejects(() => engine.run(keeping), SerializationError);
    assertEquals(error.path, path);
    assertStringIncludes(error.message, found);
  }
});

Deno.test("rich values of very many parts are stored", async () => {
  const numbers = Array.from({ length: 300_000 }, (_, i) => i);
  for (
    const value of [{ at: new Date(0), numbers }, new Set(numbers), new Map(numbers.map((i) => [i, { i }]))]
  ) {
    const { replayed } = await keep(value);
    assertEquals(String(replayed), String(value));
    if (value instanceof Map) assertEquals((replayed as typeof value).get(299_999), { i: 299_999 });
  }
});

Deno.test("a toJSON of a value's own has no part in what is stored", async () => {
  const sly = Object.defineProperty({ a: 1 }, "toJSON", { value: () => "HA" });
  const { live, replayed } = await keep([sly, Object.defineProperty([1], "toJSON", { value: () => "HA" })]);
  assertEquals([live, replayed], [[{ a: 1 }, [1]], [{ a: 1 }, [1]]]);
});

Deno.test("a value whose parts are shared again and again takes no more time than it has parts", async () => {
  let shared: unknown = { v: 1 };
  for (let i = 0; i < 40; i++) shared = [shared, shared];
  const { replayed, text } = await keep({ shared });
  assert(String(text).length < 10_000);
  for (let i = 0, part = (replayed as { shared: unknown }).shared as unknown[]; i < 39; i++) {
    assert(part[0] === part[1]);
    part = part[0] as unknown[];
  }
  const eur = { currency: "EUR" };
  const many = Array.from({ length: 50_000 }, (_, i) => ({ i, price: eur }));
  assertEquals(JSON.parse(String((await keep(many)).text)), many);
});

Deno.test("a result that cannot be stored fails the step, with the path to the part that is why", async () => {
  const cases: [unknown, path: string, found: string][] = [
    [{ items: [{ price: 1 }, { price: () => 2 }] }, ".items[1].price", "function"],
    [{ tag: Symbol("x") }, ".tag", "Symbol"],
    [{ "a b": { total: new Money(5) } }, '["a b"].total', "class Money"],
    [new Map([["key", { fn: () => {} }]]), '.get("key").fn', "function"],
    [() => {}, "", "function"],
    [new WeakMap(), "", "class WeakMap"],
  ];
  await using engine = await Engine.open(":memory:");
  for (const [value, path, found] of cases) {
    const keeping = workflow("keeping", (ctx) => ctx.step("make", () => value as undefined));
    const error = await assertRejects(() => engine.run(keeping), SerializationError);
    assertEquals(error.path, path);
    assertStringIncludes(
      error.message,
      'Cannot store the output of step "make#000001": wanted a value of plain data',
    );
    assertStringIncludes(error.message, path);
    assertStringIncludes(error.message, found);
  }
});

Deno.test("a step whose result cannot be stored is not tried again: it has done its work", async () => {
  await using engine = await Engine.open(":memory:");
  let calls = 0;
  const keeping = workflow("keeping", (ctx) =>
    ctx.step("make", () => {
      calls++;
      return (() => {}) as unknown as undefined;
    }, { retry: { maxAttempts: 5, initialInterval: 0 } }));
  await assertRejects(() => engine.run(keeping), SerializationError);
  assertEquals(calls, 1);
});

Deno.test("an input or output that cannot be stored is refused, and named", async () => {
  await using engine = await Engine.open(":memory:");
  const taking = workflow("taking", (_, _input: unknown) => ({ made: Symbol("x") }));
  const input = { callback: () => {} };
  const refused = await assertRejects(() => engine.start(taking, { id: "t", input }), SerializationError);
  assertEquals([refused.path, (await engine.list()).length], [".callback", 0]);
  assertStringIncludes(refused.message, 'the input of workflow "t"');
  const failed = await assertRejects(() => engine.run(taking, { id: "t", input: 1 }), SerializationError);
  assertEquals([failed.path, await engine.handle("t").status()], [".made", "failed"]);
  assertStringIncludes(failed.message, 'the output of workflow "t"');
});

Deno.test("inputs and outputs are kept like results", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const input = { when: new Date(3), tags: new Set(["a"]) };
  const echo = workflow("echo", (_, input: { when: Date; tags: Set<string> }) => ({ ...input, n: 5n }));
  for (let i = 0; i < 2; i++) {
    await using engine = await Engine.open(file);
    assertEquals(await engine.run(echo, { id: "e", input }), { ...input, n: 5n });
    const detail = (await engine.get("e"))!;
    assertEquals([detail.input, detail.output], [input, { ...input, n: 5n }]);
  }
});

Deno.test("a value larger than maxValueBytes is refused, by its bytes of UTF-8", async () => {
  await using engine = await Engine.open(":memory:", { maxValueBytes: 12 });
  const keep = (value: string | Date) => engine.run(workflow("keep", (ctx) => ctx.step("make", () => value)));
  assertEquals(await keep("0123456789"), "0123456789");
  assertEquals(await keep("ä".repeat(5)), "ä".repeat(5));
  for (const value of ["0123456789a", "ä".repeat(6), "€€€€", new Date(0)]) {
    const error = await assertRejects(() => keep(value), LimitExceededError);
    assertEquals(
      error.message,
      'Cannot store the output of step "make#000001": the limit maxValueBytes is 12',
    );
    assertEquals([error.limit, error.max], ["maxValueBytes", 12]);
  }
  const echo = workflow("echo", (_, input: string) => input);
  await assertRejects(
    () => engine.start(echo, { input: "0123456789a" }),
    LimitExceededError,
    "the input of workflow",
  );
});

Deno.test("a value may have 16 MiB by default", async () => {
  await using engine = await Engine.open(":memory:");
  const make = (length: number) =>
    engine.run(workflow("make", (ctx) => ctx.step("make", () => "x".repeat(length))));
  assertEquals((await make(16 * 2 ** 20 - 2)).length, 16 * 2 ** 20 - 2);
  await assertRejects(
    () => make(16 * 2 ** 20 - 1),
    LimitExceededError,
    "the limit maxValueBytes is 16777216",
  );
});

Deno.test("a value that is nested very deeply is kept or refused, and ends nothing", async () => {
  await using engine = await Engine.open(":memory:");
  let value: unknown = "core";
  for (let i = 0; i < 100_000; i++) value = [value];
  const deep = workflow("deep", (ctx) => ctx.step("make", () => value as undefined));
  await assertRejects(() => engine.run(deep), SerializationError, "the output of step");
});

Deno.test("results that cannot be stored are refused at compile time where the types tell", () => {
  // Nothing here is run: that it compiles is the test.
  workflow("types", async (ctx) => {
    const numbers: number[] = await ctx.step("list", () => [1, 2]);
    const rows: Record<string, unknown>[] = await ctx.step("rows", () => [{}] as Record<string, unknown>[]);
    const pair: readonly [string, Date] = await ctx.step("pair", () => ["a", new Date(0)] as const);
    const rich: Map<string, Set<bigint>> = await ctx.step("rich", () => new Map([["a", new Set([1n])]]));
    const maybe: { a?: string } | undefined = await ctx.step(
      "maybe",
      () => undefined as { a?: string } | undefined,
    );
    const any = await ctx.step("any", () => JSON.parse("1"));
    await ctx.step("nothing", () => {});
    await ctx.step("later", () => Promise.resolve({ accounts: ["x"] as readonly string[] }));
    // @ts-expect-error a match, whose groups would be lost
    const match: RegExpMatchArray = await ctx.step("match", () => "a".match(/a/)!);
    // @ts-expect-error a Buffer, whose methods would be lost
    const buffer: Buffer = await ctx.step("buffer", () => Buffer.from("a"));
    // @ts-expect-error a function
    const fn: () => number = await ctx.step("function", () => () => 1);
    // @ts-expect-error a function inside
    const inside: { items: { price: () => number }[] } = await ctx.step(
      "in",
      () => ({ items: [{ price: () => 1 }] }),
    );
    // @ts-expect-error a symbol
    const symbol: { tag: symbol } = await ctx.step("symbol", () => ({ tag: Symbol("x") }));
    // @ts-expect-error a promise inside
    const promises: Promise<number>[] = await step(
      ctx,
      "promise",
      () => Promise.resolve([Promise.resolve(1)]),
    );
    const wrapped = <T>(make: () => T): Promise<T> => ctx.step("generic", make);
    const text: string = await wrapped(() => "text");
    return [match, buffer, numbers, rows, pair, rich, maybe, any, fn, inside, symbol, promises, text];
  });
});
