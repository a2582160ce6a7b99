/**
 * What the packages under `offline/` must do. They stand in for packages of JSR, so each test holds for the real ones
 * too: CONTRIBUTING.md says how to run this file on them.
 */
import {
  assert,
  assertEquals,
  assertExists,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  AssertionError,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertObjectMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  fail,
} from "@std/assert";
import { deadline, delay, pooledMap } from "@std/async";
import { parseArgs as parseArgsOfPackage } from "@std/cli";
import { parseArgs } from "@std/cli/parse-args";

/** Asserts that an assertion does not hold, without the help of the one that is tested. */
function fails(assertion: () => unknown, ...texts: string[]): void {
  let error: unknown;
  try {
    assertion();
  } catch (thrown) {
    error = thrown;
  }
  if (!(error instanceof AssertionError)) throw new Error(`Expected an AssertionError, got ${error}`);
  for (const text of texts) {
    if (!error.message.includes(text)) throw new Error(`Expected "${text}" in "${error.message}"`);
  }
}

/** As {@linkcode fails}, for an assertion that is a promise. */
async function failsLater(assertion: () => Promise<unknown>, ...texts: string[]): Promise<void> {
  const outcome = await assertion().then(() => undefined, (error) => ({ error }));
  fails(() => {
    if (outcome) throw outcome.error;
  }, ...texts);
}

/** Compiles only if two types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : never;

class Hidden {
  #value: unknown;
  constructor(value: unknown) {
    this.#value = value;
  }
  get value(): unknown {
    return this.#value;
  }
}

Deno.test("AssertionError has its name, a message and a cause", () => {
  const cause = new Error("why");
  const error = new AssertionError("what", { cause });
  assert(error instanceof Error);
  assertEquals([error.name, error.message, error.cause], ["AssertionError", "what", cause]);
});

Deno.test("assert() takes what is truthy and narrows its type", () => {
  const text = "x" as string | undefined;
  assert(text);
  const narrowed: Same<typeof text, string> = true;
  assert(narrowed);
  for (const falsy of [0, "", null, undefined, false, NaN]) fails(() => assert(falsy, "why"), "why");
});

Deno.test("fail() throws", () => {
  fails(() => fail("not reached"), "Failed assertion: not reached");
});

Deno.test("assertEquals() goes by structure", () => {
  const row = Object.assign(Object.create(null), { id: 1 });
  const cycle = () => {
    const a: { self?: unknown } = {};
    a.self = a;
    return a;
  };
  const pairs: [unknown, unknown][] = [
    [0, -0],
    [NaN, NaN],
    ["a", "a"],
    [{ a: 1, b: [2, { c: 3 }] }, { b: [2, { c: 3 }], a: 1 }],
    [row, { id: 1 }],
    [new Date(5), new Date(5)],
    [/a/g, /a/g],
    [new URL("http://a/"), new URL("http://a")],
    [new Set([1, { a: 1 }]), new Set([{ a: 1 }, 1])],
    [new Map([[{ k: 1 }, [1]]]), new Map([[{ k: 1 }, [1]]])],
    [new Uint8Array([1, 2]), new Uint8Array([1, 2])],
    [new Hidden({ a: 1 }), new Hidden({ a: 1 })],
    [cycle(), cycle()],
  ];
  for (const [a, b] of pairs) {
    assertEquals(a, b);
    fails(() => assertNotEquals(a, b));
  }
});

Deno.test("assertEquals() tells structures apart", () => {
  const pairs: [unknown, unknown][] = [
    [1, "1"],
    [1, 1n],
    [null, undefined],
    [{ a: undefined }, {}],
    [{ a: undefined }, { b: undefined }],
    [[1], [1, 2]],
    [[undefined], Array(1)],
    [[], {}],
    [{ a: { b: 1 } }, { a: { b: 2 } }],
    [new Date(5), new Date(6)],
    [/a/g, /a/],
    [new Set([1]), new Set([2])],
    [new Set([{ a: 1 }, { a: 2 }]), new Set([{ a: 1 }, { a: 3 }])],
    [new Map([["k", 1]]), new Map([["k", 2]])],
    [new Uint8Array([1]), new Uint8Array([2])],
    [new Uint8Array([1]), [1]],
    [new Hidden(1), new Hidden(2)],
    [new Hidden(1), { value: 1 }],
    [() => 1, () => 1],
    [new Error("a"), new Error("b")],
    [{ [Symbol.for("s")]: 1 }, { [Symbol.for("s")]: 2 }],
  ];
  for (const [a, b] of pairs) {
    assertNotEquals(a, b);
    fails(() => assertEquals(a, b), "Values are not equal");
    fails(() => assertEquals(b, a), "Values are not equal");
  }
});

Deno.test("assertEquals() shows both values and the message", () => {
  const [actual, expected] = [{ a: 1, z: "found" }, { a: 1, z: "wanted" }];
  fails(() => assertEquals(actual, expected, "why"), "not equal: why", 'z: "found"', 'z: "wanted"');
});

Deno.test("assertStrictEquals() goes by identity", () => {
  const value = { a: 1 };
  const same: unknown = value;
  assertStrictEquals(same, value);
  const narrowed: Same<typeof same, { a: number }> = true;
  assert(narrowed);
  assertStrictEquals(NaN, NaN);
  fails(() => assertStrictEquals({ a: 1 }, value, "why"), "not reference-equal: why");
  fails(() => assertStrictEquals(0, -0), "not strictly equal");
});

Deno.test("assertExists() refuses null and undefined", () => {
  const value = 0 as number | null | undefined;
  assertExists(value);
  const narrowed: Same<typeof value, number> = true;
  assert(narrowed);
  fails(() => assertExists(null, "why"), "why");
  fails(() => assertExists(undefined));
});

Deno.test("assertInstanceOf() narrows to the class", () => {
  const value: unknown = new TypeError("x");
  assertInstanceOf(value, Error);
  const narrowed: Same<typeof value, Error> = true;
  assert(narrowed);
  fails(() => assertInstanceOf(value, RangeError, "why"), "RangeError", "TypeError", "why");
  fails(() => assertInstanceOf(null, RangeError), "null");
  fails(() => assertInstanceOf(5, RangeError), "number");
});

Deno.test("assertStringIncludes() and assertMatch() look into a text", () => {
  assertStringIncludes("a b c", "b");
  assertMatch("a b c", /^a.*c$/);
  fails(() => assertStringIncludes("a b c", "d", "why"), "a b c", "d", "why");
  fails(() => assertMatch("a b c", /d/, "why"), "a b c", "/d/", "why");
});

Deno.test("assertGreater() and its kin compare", () => {
  assertGreater(2, 1);
  assertGreaterOrEqual(2n, 2n);
  assertLess("a", "b");
  assertLessOrEqual(new Date(1), new Date(1));
  fails(() => assertGreater(1, 1), "1 > 1");
  fails(() => assertGreaterOrEqual(0, 1), "0 >= 1");
  fails(() => assertLess(1, 1), "1 < 1");
  fails(() => assertLessOrEqual(2, 1), "2 <= 1");
  fails(() => assertLess(2, 1, "why"), "why");
  fails(() => assertGreater(NaN, 1));
});

Deno.test("assertObjectMatch() wants a part of the object", () => {
  const actual = {
    id: 1,
    at: new Date(5),
    pattern: /a/,
    inner: { a: 1, b: 2 },
    list: [{ a: 1, b: 2 }, { a: 3 }],
    map: new Map([["k", { a: 1, b: 2 }], ["l", { a: 3, b: 4 }]]),
    set: new Set([1, 2]),
    none: null,
  };
  assertObjectMatch(actual, {});
  assertObjectMatch(actual, { id: 1, inner: { b: 2 }, list: [{ a: 1 }], none: null });
  assertObjectMatch(actual, {
    at: new Date(5),
    pattern: /a/,
    map: new Map([["k", { b: 2 }]]),
    set: new Set([2]),
  });
  fails(() => assertObjectMatch(actual, { id: 2 }));
  fails(() => assertObjectMatch(actual, { id: 1, missing: undefined }));
  fails(() => assertObjectMatch(actual, { inner: { c: 3 } }));
  fails(() => assertObjectMatch(actual, { list: [{ a: 1 }, { a: 4 }] }));
  fails(() => assertObjectMatch(actual, { list: [{ a: 1 }, { a: 3 }, { a: 5 }] }));
  fails(() => assertObjectMatch(actual, { at: new Date(6) }));
  fails(() => assertObjectMatch(actual, { none: {} }, "why"), "why");
});

Deno.test("assertObjectMatch() ends on cycles", () => {
  const cycle = (a: number) => {
    const value: Record<string, unknown> = { a };
    value.self = value;
    return value;
  };
  assertObjectMatch(cycle(1), cycle(1));
  fails(() => assertObjectMatch(cycle(1), cycle(2)));
});

Deno.test("assertThrows() returns what was thrown", () => {
  const error = new TypeError("a tall error");
  const thrower = () => {
    throw error;
  };
  assertStrictEquals(assertThrows(thrower), error);
  assertStrictEquals(assertThrows(thrower, "why"), error);
  const typed = assertThrows(thrower, TypeError, "tall");
  const narrowed: Same<typeof typed, TypeError> = true;
  assert(narrowed);
  assertStrictEquals(typed, error);
  assertStrictEquals(assertThrows(thrower, Error), error);
  assertEquals(
    assertThrows(() => {
      throw undefined;
    }),
    undefined,
  );
});

Deno.test("assertThrows() fails without a throw, and on another error than the wanted one", () => {
  const thrower = () => {
    throw new TypeError("a tall error");
  };
  fails(() => assertThrows(() => {}), "Expected function to throw.");
  fails(() => assertThrows(() => {}, "why"), "Expected function to throw: why");
  fails(() => assertThrows(() => {}, Error, "text", "why"), "Expected function to throw: why");
  fails(() => assertThrows(thrower, RangeError), "RangeError", "TypeError");
  fails(() => assertThrows(thrower, TypeError, "short", "why"), "short", "a tall error", "why");
  fails(() =>
    assertThrows(() => {
      throw "text";
    }, Error), "A non-Error object was thrown");
});

Deno.test("assertRejects() resolves to the reason", async () => {
  const error = new TypeError("a tall error");
  const rejecter = () => Promise.reject(error);
  assertStrictEquals(await assertRejects(rejecter), error);
  assertStrictEquals(await assertRejects(rejecter, "why"), error);
  const typed = await assertRejects(rejecter, TypeError, "tall");
  const narrowed: Same<typeof typed, TypeError> = true;
  assert(narrowed);
  assertStrictEquals(typed, error);
});

Deno.test("assertRejects() fails without a rejection, and on another error than the wanted one", async () => {
  const rejecter = () => Promise.reject(new TypeError("a tall error"));
  await failsLater(() => assertRejects(() => Promise.resolve(1), "why"), "Expected function to reject: why");
  await failsLater(() => assertRejects(rejecter, RangeError), "RangeError", "TypeError");
  await failsLater(() => assertRejects(rejecter, TypeError, "short", "why"), "short", "a tall error", "why");
  await failsLater(
    () => assertRejects(() => Promise.reject("text"), Error),
    "A non-Error object was rejected",
  );
  await failsLater(() =>
    assertRejects(() => {
      throw new TypeError("at once");
    }), "Function throws when expected to reject");
});

Deno.test("delay() resolves after its time", async () => {
  const start = performance.now();
  await delay(20);
  assertGreaterOrEqual(performance.now() - start, 19);
  await delay(-5);
});

Deno.test("delay() ends with its signal", async () => {
  const reason = new Error("enough");
  assertStrictEquals(await assertRejects(() => delay(1e9, { signal: AbortSignal.abort(reason) })), reason);
  const controller = new AbortController();
  const waiting = delay(Infinity, { signal: controller.signal });
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => waiting), reason);
});

Deno.test("delay() of more than a timer can take does not fire at once", async () => {
  const controller = new AbortController();
  const long = delay(2 ** 32, { signal: controller.signal }).then(() => "long", () => "aborted");
  assertEquals(await Promise.race([long, delay(5).then(() => "short")]), "short");
  controller.abort();
  assertEquals(await long, "aborted");
});

Deno.test("deadline() gives the value, the error, or a TimeoutError", async () => {
  const { promise: never } = Promise.withResolvers<number>();
  const value = await deadline(Promise.resolve(1), 1000);
  const typed: Same<typeof value, number> = true;
  assert(typed);
  assertEquals(value, 1);
  await assertRejects(() => deadline(Promise.reject(new TypeError("x")), 1000), TypeError, "x");
  const error = await assertRejects(() => deadline(never, 1), DOMException);
  assertEquals(error.name, "TimeoutError");
  const reason = new Error("enough");
  const ended = deadline(never, Infinity, { signal: AbortSignal.abort(reason) });
  assertStrictEquals(await assertRejects(() => ended), reason);
});

Deno.test("pooledMap() gives the results in the order of the items", async () => {
  const waits = [20, 1, 10];
  const results = pooledMap(2, waits, async (ms) => {
    await delay(ms);
    return `${ms}`;
  });
  assertEquals(await Array.fromAsync(results), ["20", "1", "10"]);
});

Deno.test("pooledMap() keeps to its limit, and uses it", async () => {
  let running = 0;
  let most = 0;
  async function* items() {
    yield* [1, 2, 3, 4, 5, 6, 7];
  }
  const results = pooledMap(3, items(), async (item) => {
    most = Math.max(most, ++running);
    await delay(1);
    running--;
    return item;
  });
  assertEquals(await Array.fromAsync(results), [1, 2, 3, 4, 5, 6, 7]);
  assertEquals(most, 3);
});

Deno.test("pooledMap() starts nothing after a failure, and reports all failures at the end", async () => {
  const started: number[] = [];
  const results = pooledMap(2, [1, 2, 3, 4, 5, 6], async (item) => {
    started.push(item);
    await delay(item);
    if (item === 2 || item === 3) throw new Error(`${item}`);
    return item;
  });
  const seen: number[] = [];
  const error = await assertRejects(async () => {
    for await (const item of results) seen.push(item);
  }, AggregateError);
  assertEquals([seen, started], [[1], [1, 2, 3]]);
  assertEquals(error.errors.map((each: Error) => each.message), ["2", "3"]);
});

Deno.test("pooledMap() refuses a limit below one", () => {
  assertThrows(() => pooledMap(0, [], () => Promise.resolve()), RangeError, "poolLimit");
});

Deno.test("parseArgs() is the same from both of its modules", () => {
  assertStrictEquals(parseArgsOfPackage, parseArgs);
});

Deno.test("parseArgs() guesses without options", () => {
  assertEquals(parseArgs(["run", "--a", "-b", "1", "--c=d", "-xyz", "-n5", "7", "--", "--e"]), {
    _: ["run", 7, "--e"],
    a: true,
    b: 1,
    c: "d",
    x: true,
    y: true,
    z: true,
    n: 5,
  });
});

Deno.test("parseArgs() keeps strings, and sets booleans that are missing", () => {
  const args = parseArgs(["--id", "007", "--json", "7", "--empty", "--flag=false"], {
    string: ["id", "empty", "missing"],
    boolean: ["json", "quiet", "flag"],
  });
  assertEquals(args, { _: [7], id: "007", json: true, empty: "", quiet: false, flag: false });
  const types: [
    Same<typeof args.id, string | undefined>,
    Same<typeof args.json, boolean>,
    Same<typeof args.other, unknown>,
    Same<typeof args._, (string | number)[]>,
  ] = [true, true, true, true];
  assert(types);
  assertEquals<unknown>(parseArgs(["7"], { string: ["_"] }), { _: ["7"] });
});

Deno.test("parseArgs() takes the last value, or collects them all", () => {
  const args = parseArgs(["--m", "a", "--m=b", "--n", "1", "--n", "2"], {
    string: ["m", "n", "o"],
    collect: ["m", "o", "p"],
  });
  assertEquals<unknown>(args, { _: [], m: ["a", "b"], n: "2", o: [] });
  const types: [
    Same<typeof args.m, string[]>,
    Same<typeof args.n, string | undefined>,
    Same<typeof args.p, unknown[]>,
  ] = [true, true, true];
  assert(types);
});

Deno.test("parseArgs() sets a value under its aliases too", () => {
  const args = parseArgs(["-h", "-f", "x"], {
    boolean: ["help"],
    string: ["file"],
    alias: { help: "h", file: ["f", "path"] },
  });
  assertEquals(args, { _: [], help: true, h: true, file: "x", f: "x", path: "x" });
  const types: [Same<typeof args.h, boolean>, Same<typeof args.path, string | undefined>] = [true, true];
  assert(types);
});

Deno.test("parseArgs() gives defaults to what is missing", () => {
  const args = parseArgs(["--limit", "5"], {
    string: ["db", "limit"],
    boolean: ["color"],
    default: { db: "a.db", limit: "10", color: true },
  });
  assertEquals(args, { _: [], db: "a.db", limit: "5", color: true });
  const types: [Same<typeof args.db, string>, Same<typeof args.color, boolean>] = [true, true];
  assert(types);
});

Deno.test("parseArgs() negates what can be negated", () => {
  const options = { boolean: ["color", "cache"], negatable: ["color"], default: { color: true } } as const;
  assertEquals(parseArgs(["--no-color"], options).color, false);
  assertEquals(parseArgs([], options).color, true);
  assertEquals(parseArgs(["--no-cache"], options)["no-cache"], true);
});

Deno.test("parseArgs() keeps what follows -- to itself", () => {
  const args = parseArgs(["a", "--", "--b", "7"], { "--": true });
  assertEquals(args, { _: ["a"], "--": ["--b", "7"] });
  const type: Same<typeof args["--"], string[]> = true;
  assert(type);
});

Deno.test("parseArgs() stops at the first argument that is no option", () => {
  assertEquals(parseArgs(["--a", "run", "--b"], { boolean: ["a", "b"], stopEarly: true }), {
    _: ["run", "--b"],
    a: true,
    b: false,
  });
});

Deno.test("parseArgs() asks about each argument that it does not know", () => {
  const asked: unknown[] = [];
  const args = parseArgs(["run", "--known", "x", "--other=1", "-z", "--more", "y"], {
    string: ["known"],
    unknown: (arg, key, value) => {
      asked.push([arg, key, value]);
      return arg === "run";
    },
  });
  assertEquals(args, { _: ["run"], known: "x" });
  assertEquals(asked, [
    ["run", undefined, undefined],
    ["--other=1", "other", "1"],
    ["-z", "z", true],
    ["--more", "more", "y"],
  ]);
});

Deno.test("parseArgs() takes no value that looks like an option", () => {
  assertEquals(parseArgs(["--a", "--b", "-c", "-1"], { string: ["a", "c"] }), {
    _: [],
    a: "",
    b: true,
    c: "",
    1: true,
  });
  assertEquals(parseArgs(["--a=-5", "-", "--c=a=b"], { string: ["a"] }), { _: ["-"], a: "-5", c: "a=b" });
});

Deno.test("parseArgs() nests dotted names, and not into prototypes", () => {
  assertEquals(parseArgs(["--a.b=1", "--a.c", "x"]), { _: [], a: { b: 1, c: "x" } });
  parseArgs(["--__proto__.polluted=1", "--constructor.prototype.polluted=1"]);
  assertEquals("polluted" in {}, false);
});
