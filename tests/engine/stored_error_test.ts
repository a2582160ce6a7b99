import { Engine, NonRetryableError, StepTimeoutError, StoreError, workflow } from "@stepwell/stepwell";
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { runInNewContext } from "node:vm";
import { decodeError, encodeError } from "../../engine/stored_error.ts";
import { Crash } from "../crash.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** What a workflow sees of what a step throws: the first time, and in a replay. */
async function seenOf(thrown: unknown): Promise<[live: unknown, replayed: unknown]> {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const seen: unknown[] = [];
  let calls = 0;
  const failing = workflow("failing", async (ctx) => {
    await ctx.step("call", () => {
      calls++;
      throw thrown;
    }).catch((error) => seen.push(error));
    await ctx.step("wait", () => crash.here());
  });
  await crash.happens(file, failing, { id: "f" });
  await using engine = await Engine.open(file);
  await engine.run(failing, { id: "f" });
  assertEquals([calls, seen.length >= 2], [1, true]);
  return [seen.at(0), seen.at(-1)];
}

Deno.test("a step that failed for good replays its error: name, message, stack, code and cause", async () => {
  class PaymentError extends Error {
    override name = "PaymentError";
    code = "card_declined";
  }
  const thrown = new PaymentError("Declined", { cause: new RangeError("Limit reached", { cause: "51" }) });
  for (const error of await seenOf(thrown) as PaymentError[]) {
    assertInstanceOf(error, Error);
    assertEquals([error.name, error.message, error.code], ["PaymentError", "Declined", "card_declined"]);
    assertEquals(error.stack, thrown.stack);
    assertInstanceOf(error.cause, RangeError);
    assertEquals([error.cause.message, error.cause.cause], ["Limit reached", "51"]);
    assertEquals(Object.keys(error), []);
  }
});

Deno.test("errors of the language's own classes keep their class", async () => {
  for (const Class of [TypeError, RangeError, SyntaxError, ReferenceError, URIError, EvalError]) {
    for (const error of await seenOf(new Class("No"))) {
      assertInstanceOf(error, Class);
      assertEquals([error.name, error.message], [Class.name, "No"]);
    }
  }
});

Deno.test("an AggregateError keeps its errors", async () => {
  for (
    const error of await seenOf(new AggregateError([new TypeError("one"), "two"], "Both")) as AggregateError[]
  ) {
    assertInstanceOf(error, AggregateError);
    assertEquals([error.message, (error.errors[0] as Error).message, error.errors[1]], [
      "Both",
      "one",
      "two",
    ]);
    assertInstanceOf(error.errors[0], TypeError);
  }
});

Deno.test("errors of Stepwell's own classes keep their class and fields", async () => {
  for (const error of await seenOf(new StepTimeoutError("pay#000001", 50))) {
    assertInstanceOf(error, StepTimeoutError);
    assertEquals([error.key, error.timeoutMs], ["pay#000001", 50]);
  }
  for (const error of await seenOf(new NonRetryableError("No", { cause: new Error("Why") }))) {
    assertInstanceOf(error, NonRetryableError);
    assertEquals((error.cause as Error).message, "Why");
  }
});

Deno.test("an aborted signal's reason is an AbortError or a TimeoutError again", async () => {
  for (const name of ["AbortError", "TimeoutError"]) {
    for (const error of await seenOf(new DOMException("Enough", name))) {
      assertInstanceOf(error, DOMException);
      assertEquals([error.name, error.message], [name, "Enough"]);
    }
  }
});

Deno.test("what is thrown but no Error comes back as it was where it is plain", async () => {
  for (const thrown of ["text", "", 17, 0, true, null]) {
    assertEquals(await seenOf(thrown), [thrown, thrown]);
  }
  for (const thrown of [undefined, { reason: "object" }, Symbol("s"), NaN]) {
    const [live, replayed] = await seenOf(thrown) as [Error, Error];
    assertInstanceOf(live, Error);
    assertEquals([live.name, live.message], [replayed.name, replayed.message]);
  }
});

Deno.test("the fields of a step's error are those of the workflow's error, too, also when it is read back", async () => {
  await using engine = await Engine.open(":memory:");
  const failing = workflow(
    "failing",
    (ctx) =>
      ctx.step(
        "call",
        () => Promise.reject(Object.assign(new Error("No", { cause: new Error("Why") }), { code: 7 })),
      ),
  );
  for (let i = 0; i < 2; i++) {
    const error = await assertRejects(() => engine.run(failing, { id: "f" }), Error, "No");
    assertEquals([(error as { code?: unknown }).code, (error.cause as Error).message], [7, "Why"]);
  }
});

Deno.test("a workflow's own error is stored, and thrown again to whoever asks for its result", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const failing = workflow("failing", () => {
    throw new RangeError("Too much", { cause: new Error("Greed") });
  });
  {
    await using engine = await Engine.open(file);
    await assertRejects(() => engine.run(failing, { id: "f" }), RangeError, "Too much");
  }
  await using engine = await Engine.open(file);
  const error = await assertRejects(() => engine.run(failing, { id: "f" }), RangeError, "Too much");
  assertEquals((error.cause as Error).message, "Greed");
  const { status, error: stored } = (await engine.get("f"))!;
  assertEquals([status, stored!.name, stored!.message, stored!.cause!.message], [
    "failed",
    "RangeError",
    "Too much",
    "Greed",
  ]);
});

Deno.test("a thrown object that is no error keeps its message, name and code, or else shows its JSON", async () => {
  class Problem {
    constructor(readonly status: number, readonly detail: string) {}
  }
  const cases: [unknown, unknown, string, unknown?][] = [
    [{ message: "duplicate key", code: "23505", details: null }, "Thrown", "duplicate key", "23505"],
    [{ name: "PostgresError", message: "no", code: 7 }, "PostgresError", "no", 7],
    [{ a: "test" }, "Thrown", '{"a":"test"}'],
    [{ code: "E1", status: 4 }, "Thrown", '{"code":"E1","status":4}', "E1"],
    [{ message: { deep: 1 } }, "Thrown", '{"message":{"deep":1}}'],
    [new Problem(409, "taken"), "Problem", '{"status":409,"detail":"taken"}'],
    [[1, "two"], "Array", '[1,"two"]'],
    [new Map([["a", 1n]]), "Map", '{"a":"1"}'],
    [
      new Response("no", { status: 404, statusText: "Not Found" }),
      "Response",
      '{"status":404,"statusText":"Not Found","type":"default"}',
    ],
    [Symbol("s"), "Thrown", "Symbol(s)"],
    [17n, "Thrown", "17"],
    [undefined, "Thrown", "undefined"],
    [function answer() {}, "Thrown", "function answer"],
    [NaN, "Thrown", "NaN"],
    [Object.create(null, { status: { value: 500, enumerable: true } }), "Thrown", '{"status":500}'],
  ];
  for (const [thrown, name, message, code] of cases) {
    const seen = await seenOf(thrown) as (Error & { code?: unknown })[];
    for (const error of seen) {
      assertInstanceOf(error, Error);
      assertEquals([error.name, error.message, error.code], [name, message, code]);
    }
  }
});

Deno.test("a cause that is a plain object, and a message that is one, are shown", async () => {
  const thrown = new Error("not found", { cause: { status: 404, url: "/orders/17" } });
  for (const error of await seenOf(thrown) as Error[]) {
    assertEquals((error.cause as Error).message, '{"status":404,"url":"/orders/17"}');
  }
  const odd = Object.assign(new Error(), { message: { reason: "declined" } });
  for (const error of await seenOf(odd) as Error[]) assertEquals(error.message, '{"reason":"declined"}');
});

Deno.test("a SuppressedError keeps both of its errors, as does an AggregateError that is a cause", async () => {
  // As the compiler has it for versions of Deno that do not have the class.
  const suppressed = Object.assign(new Error("two"), {
    name: "SuppressedError",
    error: new TypeError("closing"),
    suppressed: new RangeError("working"),
  });
  const thrown = new Error("outer", { cause: new AggregateError([suppressed], "many") });
  for (const error of await seenOf(thrown) as Error[]) {
    const found = ((error.cause as AggregateError).errors[0]) as typeof suppressed;
    assertEquals(found.name, "SuppressedError");
    assertInstanceOf(found.error, TypeError);
    assertInstanceOf(found.suppressed, RangeError);
    assertEquals([found.error.message, found.suppressed.message], ["closing", "working"]);
  }
  const own = (globalThis as { SuppressedError?: new (...args: unknown[]) => Error }).SuppressedError;
  if (own === undefined) return;
  for (const error of await seenOf(new own(new Error("last"), "first", "two")) as (typeof suppressed)[]) {
    assertInstanceOf(error, own);
    assertEquals([error.error.message, error.suppressed as unknown], ["last", "first"]);
  }
});

Deno.test("a DOMException of any name comes back as one, with its code", async () => {
  for (const name of ["DataCloneError", "NotFoundError", "QuotaExceededError", "OperationError"]) {
    const thrown = new DOMException("No", name);
    for (const error of await seenOf(thrown) as DOMException[]) {
      assertInstanceOf(error, DOMException);
      assertEquals([error.name, error.message, error.code], [name, "No", thrown.code]);
    }
  }
});

Deno.test("an error of another realm keeps what an error has", async () => {
  const thrown = runInNewContext(
    "new RangeError('far', { cause: new AggregateError([new Error('one')], 'all') })",
  );
  assertEquals(thrown instanceof Error, false);
  for (const error of await seenOf(thrown) as Error[]) {
    assertInstanceOf(error, RangeError);
    assertInstanceOf(error.cause, AggregateError);
    assertEquals([error.message, error.cause.message, error.cause.errors[0].message], ["far", "all", "one"]);
  }
});

Deno.test("encodeError() is bounded and never throws, whatever is thrown", () => {
  const circle: Record<string, unknown> = { a: 1 };
  circle.self = circle;
  let graph: unknown = {};
  for (let i = 0; i < 60; i++) graph = { a: graph, b: graph };
  let deep: unknown = {};
  for (let i = 0; i < 100_000; i++) deep = { deep };
  const sparse: unknown[] = [];
  sparse[100_000_000] = 1;
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const throwing = {
    get message() {
      throw new Error("No");
    },
    get name() {
      throw new Error("No");
    },
    get code() {
      throw new Error("No");
    },
    a: 1,
  };
  const things = [
    circle,
    graph,
    deep,
    sparse,
    proxy,
    throwing,
    { text: "x".repeat(10_000_000) },
    10n ** 1_000_000n,
    {
      big: 10n ** 1_000_000n,
    },
    new Uint8Array(10_000_000),
    new Map([[{}, sparse]]),
    Object.create(Error.prototype),
  ];
  for (const thing of [...things, ...things.map((cause) => new Error("outer", { cause }))]) {
    const json = JSON.stringify(encodeError(thing));
    assert(json.length < 100_000, `${json.length}`);
    assertInstanceOf(decodeError(JSON.parse(json)), Error);
  }
  assertEquals(encodeError(circle).message, '{"a":1,"self":"[Circular]"}');
  assertEquals(
    encodeError(throwing).message,
    '{"message":"(unreadable)","name":"(unreadable)","code":"(unreadable)","a":1}',
  );
});

Deno.test("an error whose stack is no text, or cannot be had, is stored without it", async () => {
  const before = Object.getOwnPropertyDescriptor(Error, "prepareStackTrace");
  const makers: ((error: Error, sites: unknown) => unknown)[] = [
    (_, sites) => sites,
    () => undefined,
    () => {
      throw new TypeError("no stack today");
    },
  ];
  for (const prepareStackTrace of makers) {
    Object.assign(Error, { prepareStackTrace });
    try {
      await using engine = await Engine.open(":memory:");
      const failing = workflow("failing", async (ctx) => {
        await ctx.step("", () => 1);
        await ctx.step("", () => 2);
        return await ctx.step("fail", () => Promise.reject(new RangeError("No"))).catch((error) =>
          `${error.name}: ${error.message}`
        );
      });
      assertEquals(await engine.run(failing, { id: "f" }), "RangeError: No");
      // The places of the calls are found all the same.
      const { steps } = (await engine.get("f"))!;
      assertEquals(steps.map(({ id }) => /^stored_error_test\.ts:\d+:\d+$/.test(id)), [true, true, false]);
    } finally {
      if (before === undefined) delete (Error as { prepareStackTrace?: unknown }).prepareStackTrace;
      else Object.defineProperty(Error, "prepareStackTrace", before);
    }
  }
});

Deno.test("JSON.stringify() of Stepwell's errors says what has happened", async () => {
  const error = new StepTimeoutError("pay#000001", 50);
  error.cause = new TypeError("Why", { cause: 10n });
  const { stack, ...json } = JSON.parse(JSON.stringify({ error })).error;
  assertEquals([typeof stack, json.cause.stack === undefined], ["string", false]);
  delete json.cause.stack;
  assertEquals(json, {
    name: "StepTimeoutError",
    message: 'Step "pay#000001" did not end within its timeout of 50 ms',
    fields: { key: "pay#000001", timeoutMs: 50 },
    cause: { name: "TypeError", message: "Why", cause: { name: "Thrown", message: "10" } },
  });
  // Also where it comes back from the store, and where it is somebody's own class of them.
  for (const seen of await seenOf(new NonRetryableError("No")) as Error[]) {
    assertEquals(JSON.parse(JSON.stringify(seen)).message, "No");
  }
});

Deno.test("encodeError() keeps long messages, stacks, chains of causes and lists of errors within bounds", () => {
  const long = new Error("x".repeat(1_000_000));
  long.stack = "y".repeat(1_000_000);
  let chain: Error = new Error("end");
  for (let i = 0; i < 100; i++) chain = new Error(`${i}`, { cause: chain });
  const many = new AggregateError(Array.from({ length: 10_000 }, (_, i) => i));
  for (const error of [long, chain, many]) {
    assert(JSON.stringify(encodeError(error)).length < 200_000);
  }
});

Deno.test("encodeError() takes errors whose properties throw, and causes that go round in a circle", () => {
  const hostile = new Error("x");
  for (const property of ["name", "message", "stack"]) {
    Object.defineProperty(hostile, property, {
      get: () => {
        throw new Error("No");
      },
    });
  }
  const circle: Error = new Error("round");
  circle.cause = circle;
  const objects = [hostile, circle, Object.create(null), new Proxy({}, { get: () => hostile.name })];
  for (const thrown of objects) {
    const decoded = decodeError(JSON.parse(JSON.stringify(encodeError(thrown))));
    assertInstanceOf(decoded, Error);
  }
});

Deno.test("encodeError() makes texts whole that have half a character", () => {
  const decoded = decodeError(JSON.parse(JSON.stringify(encodeError(new Error("half \ud800"))))) as Error;
  assertEquals(decoded.message, "half \ufffd");
});

Deno.test("an error of a class of one's own that cannot be stored whole fails its step for good, by what can", async () => {
  class Declined extends NonRetryableError {
    override name = "Declined";
    constructor(readonly details: unknown[], readonly reason: string) {
      super("declined");
    }
  }
  const circle: unknown[] = [];
  circle.push(circle);
  const getter = Object.defineProperty(new Declined([1], "why"), "more", {
    enumerable: true,
    get() {
      throw new Error("unreadable");
    },
  });
  for (const thrown of [new Declined([{ cents: 1000n }], "why"), new Declined(circle, "why"), getter]) {
    for (const inStep of [true, false]) {
      await using engine = await Engine.open(":memory:");
      let calls = 0;
      const order = workflow("order", (ctx) => {
        if (inStep) return ctx.step("charge", () => (calls++, Promise.reject(thrown)));
        calls++;
        throw thrown;
      });
      await assertRejects(() => engine.run(order, { id: "o" }), Error, "declined");
      const error = await assertRejects(() => engine.run(order, { id: "o" }), Error, "declined");
      assertEquals([error.name, (error as Declined).reason, calls], ["Declined", "why", 1]);
      assertEquals((await engine.get("o"))!.status, "failed");
    }
  }
});

Deno.test("a workflow fails with any number of errors at once, and with what does not say what it is", async () => {
  await using engine = await Engine.open(":memory:");
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const many = new AggregateError(Array.from({ length: 300_000 }, () => 1), "many");
  for (const [id, thrown] of Object.entries({ many, proxy })) {
    const failing = workflow("failing", () => {
      throw thrown;
    });
    await engine.run(failing, { id }).catch(() => {});
    assertEquals((await engine.get(id))!.status, "failed", id);
  }
});

Deno.test("encodeError() keeps codes and fields within bounds, too", () => {
  const coded = Object.assign(new Error("x"), { code: "c".repeat(2_000_000) });
  assert(JSON.stringify(encodeError(coded)).length < 300_000);
  const rows = Object.assign(new NonRetryableError("x"), {
    rows: Array(300_000).fill({ a: 1 }),
    few: [1, 2],
  });
  const stored = encodeError(rows);
  assert(JSON.stringify(stored).length < 300_000);
  assertEquals(stored.fields, { few: [1, 2] });
});

Deno.test("an error of somebody else's with the name of one of Stepwell's is not taken for that", () => {
  const theirs = Object.defineProperty(new Error("mine"), "name", { value: "StoreError" });
  const seen = decodeError(JSON.parse(JSON.stringify(encodeError(theirs)))) as Error;
  assertEquals([seen.name, seen.message, seen instanceof StoreError], ["StoreError", "mine", false]);
  const ours = decodeError(JSON.parse(JSON.stringify(encodeError(new StoreError("ours")))));
  assertInstanceOf(ours, StoreError);
});
