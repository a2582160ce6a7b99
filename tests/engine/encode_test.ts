import { LimitExceededError, SerializationError, StoreError } from "@stepwell/stepwell";
import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import { decodeAnyValue, decodeValue, encodeValue, isSameValue } from "../../engine/serialize.ts";

const MAX_BYTES = 16 * 2 ** 20;

async function roundTrip(value: unknown): Promise<unknown> {
  return await decodeAnyValue(await encodeValue(value, "a value", MAX_BYTES));
}

/** What encoding says of a value that it refuses, within a moment. */
async function refusal(value: unknown): Promise<{ path: string; message: string }> {
  const begin = performance.now();
  const error = await assertRejects(async () => await encodeValue(value, "a value", MAX_BYTES));
  assert(performance.now() - begin < 8_000, "it was refused only after a long time");
  assertInstanceOf(error, SerializationError);
  assert(error.message.length < 1_000);
  return error;
}

/** A value nested to a depth. @param wrap makes a level of one inside */
function nested(depth: number, wrap: (inner: unknown) => unknown, core: unknown = "core"): unknown {
  let value = core;
  for (let i = 0; i < depth; i++) value = wrap(value);
  return value;
}

const levels: [name: string, wrap: (inner: unknown) => unknown, place: string, each?: number][] = [
  ["arrays", (inner) => [inner], "[0]"],
  ["objects", (inner) => ({ a: inner }), ".a"],
  ["Maps", (inner) => new Map([["k", inner]]), '.get("k")'],
  ["Sets", (inner) => new Set([inner]), ""],
  ["causes", (cause) => new Error("x", { cause }), ".cause", 3],
];

for (const [name, wrap, place, each = 1] of levels) {
  const most = Math.floor(1_000 / each);
  Deno.test(`encodeValue() takes a thousand levels of nested ${name}, and refuses more with the path`, async () => {
    assertEquals(
      await encodeValue(await roundTrip(nested(most, wrap)), "a value", MAX_BYTES) !== null,
      true,
    );
    const { path, message } = await refusal({ deep: [nested(most, wrap)] });
    assert(path.startsWith(".deep[0]" + place.repeat(most - 2)), path);
    assertStringIncludes(message, "found more than 1000 levels of nesting");
    await refusal(nested(200_000, wrap));
  });
}

/** The text that an earlier version has stored of something nested deeply. */
function deepText(depth: number): string {
  const kinds = [(at: number) => [at], (at: number) => ({ a: at }), (at: number) => ["Set", at]];
  kinds.push((at) => ["Map", at, at], (at) => ["null", "a", at], (at) => [-7, 4, 2, at]);
  const flat: unknown[] = Array.from({ length: depth }, (_, i) => kinds[i % kinds.length]!(i + 1));
  flat.push({ when: depth + 1, error: depth + 2 }, ["Date", "2026-01-01T00:00:00.000Z"], [
    "Error",
    depth + 3,
  ]);
  flat.push({ name: depth + 4, message: depth + 5 }, "TypeError", "No");
  return `{"$devalue":${JSON.stringify(flat)}}`;
}

Deno.test("a value that an earlier version has stored too deeply for the stack is read", async () => {
  let value = await decodeAnyValue(deepText(30_000)) as never as Record<string, unknown>;
  for (let i = 0; i < 30_000; i++) {
    const [inner] = value instanceof Map
      ? value.values()
      : value instanceof Set
      ? value
      : Object.values(value as object);
    value = inner as typeof value;
  }
  assertEquals(value.when, new Date("2026-01-01T00:00:00.000Z"));
  assertInstanceOf(value.error, TypeError);
  assertEquals(await isSameValue(deepText(5_000), deepText(5_000).replace("2026", "2027")), false);
});

Deno.test("a stack that is used up is no fault of a stored text", async () => {
  const text = (await encodeValue(nested(900, (inner) => new Map([[1, inner]])), "a value", MAX_BYTES))!;
  await decodeAnyValue(text);
  let outcome: unknown;
  // A little is left for the handling of what is met.
  let left = 100;
  const dig = (): void => {
    try {
      dig();
    } catch (error) {
      if (left-- > 0) throw error;
      if (outcome !== undefined) return;
      try {
        outcome = decodeValue(text);
      } catch (error) {
        outcome = error;
      }
    }
  };
  dig();
  assert(outcome instanceof Map || outcome instanceof StoreError, String(outcome));
});

Deno.test("encodeValue() refuses a BigInt of very many digits, with the path", async () => {
  assertEquals(await roundTrip([10n ** 90_000n, -(10n ** 90_000n)]), [10n ** 90_000n, -(10n ** 90_000n)]);
  for (const huge of [10n ** 110_000n, -(1n << 100_000_000n)]) {
    const { path, message } = await refusal({ keys: new Map([["n", [huge]]]) });
    assertEquals(path, '.keys.get("n")[0]');
    assertStringIncludes(message, "a BigInt of more than 100000 digits");
  }
  const many = Array.from({ length: 20 }, (_, i) => 10n ** 90_000n + BigInt(i));
  assertEquals((await refusal(many)).path, "[11]");
});

Deno.test("a stored BigInt that would take seconds to be read is refused, with the path", async () => {
  const digits = "9".repeat(5_000_000);
  const begin = performance.now();
  const error = await assertRejects(
    () => decodeAnyValue(`{"$devalue":[{"a":1},["Map",2,3],"k",[-7,9,8,4],["BigInt","${digits}"]]}`),
    Error,
    "a BigInt of 5000000 digits at .a[8], where the limit is 1000000",
  );
  assert(!(error instanceof StoreError));
  assert(performance.now() - begin < 2_000);
});

Deno.test("encodeValue() refuses a list that is all but empty, without going through it", async () => {
  const sparse: number[] = [];
  sparse[1e8] = 1;
  const { path, message } = await refusal({ rich: new Date(0), sparse });
  assertEquals(path, ".sparse");
  assertStringIncludes(message, "an array of 100000001 places of which 1 have something in them");
  const holes = [, 1, , undefined]; // deno-lint-ignore no-sparse-arrays
  holes.length = 50_000;
  const seen = await roundTrip(holes) as unknown[];
  assertEquals([seen.length, Object.keys(seen)], [50_000, ["1", "3"]]);
});

class Amount extends Number {}
class Label extends String {}
class Flag extends Boolean {}
class Bytes extends ArrayBuffer {}
class Words extends Uint16Array<ArrayBuffer> {}
class Failure extends Error {}

Deno.test("what would lose its class, or a part, is refused, with the path", async () => {
  const key = Symbol("key");
  const cases: [unknown, found: string][] = [
    [new Amount(1), "an instance of the class Amount, which would come back as one of Number"],
    [new Label("a"), "the class Label, which would come back as one of String"],
    [new Flag(true), "the class Flag, which would come back as one of Boolean"],
    [new Bytes(1), "the class Bytes, which would come back as one of ArrayBuffer"],
    [new Words(new ArrayBuffer(2)), "the class Words, which would come back as one of Uint16Array"],
    [Object.assign(new String("ab"), { zone: 1 }), 'an instance of String with the property "zone"'],
    [Object.assign(new Uint8Array(2), { zone: 1 }), 'an instance of Uint8Array with the property "zone"'],
    [Object.assign([1n], { [key]: 1 }), "an array with the property Symbol(key)"],
    [{ [key]: 1 }, "a property whose name is Symbol(key)"],
    [new SharedArrayBuffer(1), "the class SharedArrayBuffer"],
    [new Uint8Array(new SharedArrayBuffer(1)), "the class SharedArrayBuffer"],
    [new ArrayBuffer(1, { maxByteLength: 2 }), "a resizable ArrayBuffer"],
    [Promise.resolve(1), "the class Promise"],
    [new WeakSet(), "the class WeakSet"],
    [Object.create({ inherited: 1 }), "an instance of the class Object"],
    [Math, "an object that is a Math"],
    [
      (function () {
        return arguments;
      })(),
      "an object that is an Arguments",
    ],
    [() => {}, "a function"],
    [Object.assign(new Error("x"), { retry() {} }), "a function"],
    [new Proxy(new Map(), {}), "what cannot be read"],
  ];
  for (const [value, found] of cases) {
    const { path, message } = await refusal({ list: [value] });
    assert(path.startsWith(".list[0]"), path);
    assertStringIncludes(message, found);
  }
  const boxed = await roundTrip([new Number(1), new String("a"), new Boolean(false), Object(1n)]) as object[];
  assertEquals(boxed.map((box) => [typeof box, box.valueOf()]), [
    ["object", 1],
    ["object", "a"],
    ["object", false],
    ["object", 1n],
  ]);
});

Deno.test("what cannot be read is refused, with the path", async () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const throwing = {
    get bad() {
      throw new Failure("No such account");
    },
  };
  const cases: [unknown, path: string, found: string][] = [
    [{ a: [throwing] }, ".a[0].bad", "what cannot be read (No such account)"],
    [[{ proxy }], "[0].proxy", "on a proxy that has been revoked"],
    [new Map([["k", proxy]]), '.get("k")', "on a proxy that has been revoked"],
    [proxy, "", "on a proxy that has been revoked"],
    [
      new Proxy({}, {
        ownKeys() {
          throw null;
        },
      }),
      "",
      "what cannot be read",
    ],
  ];
  for (const [value, path, found] of cases) {
    const error = await refusal(value);
    assertEquals(error.path, path);
    assertStringIncludes(error.message, found);
  }
});

Deno.test("errors in a value keep what they have beside their message", async () => {
  const inner = Object.assign(new Failure("inner"), { at: new Date(1), tags: new Set(["a"]) });
  const error = Object.assign(new TypeError("outer", { cause: inner }), { status: 404, code: 7n });
  const both = new AggregateError([inner, { plain: true }], "both");
  const seen = await roundTrip({ error, both, again: error }) as {
    error: TypeError & { status: number; code: bigint; cause: typeof inner };
    both: AggregateError;
    again: unknown;
  };
  assertInstanceOf(seen.error, TypeError);
  assertEquals([seen.error.status, seen.error.code], [404, 7n]);
  assertEquals(Object.keys(seen.error).sort(), ["code", "status"]);
  assertEquals([seen.error.cause.message, seen.error.cause.at, seen.error.cause.tags], [
    "inner",
    new Date(1),
    new Set(["a"]),
  ]);
  assertEquals(seen.both.errors, [seen.error.cause, { plain: true }]);
  assert(seen.both.errors[0] === seen.error.cause && seen.again === seen.error);
});

Deno.test("errors in a value may lead back to themselves", async () => {
  const one: Error & { self?: unknown } = new Error("one");
  const two = new Error("two", { cause: one });
  one.cause = two;
  one.self = { list: [one] };
  const seen = await roundTrip(one) as typeof one & { self: { list: unknown[] }; cause: Error };
  assert(seen.self.list[0] === seen);
  assert(seen.cause.cause === seen);
  assertEquals([seen.message, seen.cause.message], ["one", "two"]);
});

Deno.test("a value that is too long is refused before a text is made of it", async () => {
  const long = "y".repeat(2 ** 20);
  for (
    const value of [Array(400_000).fill(long), new Uint8Array(2 ** 27), [new Date(0), "x".repeat(2 ** 25)]]
  ) {
    // The text of the first would be longer than any that there can be.
    await assertRejects(async () => await encodeValue(value, "a value", MAX_BYTES), LimitExceededError);
  }
  const shared = [new Date(0), ...Array(400_000).fill(long)];
  assertEquals((await roundTrip(shared) as unknown[]).length, 400_001);
});

Deno.test("encodeValue() keeps a property of the name __proto__, or refuses it", async () => {
  const plain = JSON.parse('{"__proto__": {"a": 1}, "b": 2}');
  assertEquals(JSON.stringify(await roundTrip(plain)), JSON.stringify(plain));
  assertEquals((await refusal({ plain: [plain], at: new Date(0) })).path, ".plain[0]");
  const text = JSON.stringify(plain);
  assertEquals(await isSameValue(text, '{"b": 2, "__proto__": {"a": 1}}'), true);
  assertEquals(await isSameValue(text, '{"b": 2, "__proto__": {"a": 2}}'), false);
});

Deno.test("a property that is computed is read once", async () => {
  let reads = 0;
  const value = {
    at: new Date(0),
    get count() {
      return ++reads;
    },
  };
  assertEquals(await roundTrip(value), { at: new Date(0), count: reads });
});

Deno.test("damaged text of a typed array is no value, and no lack of memory", async () => {
  const text = '{"$devalue":[["Float64Array",1,1,2],["ArrayBuffer","AAAAAAAAAAAAAAAAAAAAAAAA"]]}';
  assert(!(await assertRejects(() => decodeAnyValue(text)) instanceof StoreError));
  for (
    const spoilt of ['{"$devalue":[["Error",0]]}', '{"$devalue":{}}', '{"$devalue":[[7]]}', '{"$devalue":[[']
  ) {
    assert(!(await assertRejects(() => decodeAnyValue(spoilt)) instanceof StoreError));
  }
});
