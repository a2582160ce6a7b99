import { assertEquals } from "@std/assert";
import { commandLine } from "../../cli/command_line.ts";
import { formatDuration, formatMoment } from "../../cli/format_time.ts";
import { didYouMean, nearest } from "../../cli/nearest.ts";
import { factLines, Text } from "../../cli/facts.ts";
import { logText } from "../../cli/log_text.ts";
import { palette } from "../../cli/paint.ts";
import { Budgeted, BUDGETS, toJson } from "../../cli/plain_json.ts";
import { leavingOut, printableCell, printableLine, printableText } from "../../cli/printable.ts";
import { describeError, describeErrorInFull } from "../../cli/describe_error.ts";
import { table } from "../../cli/table.ts";

Deno.test("nearest() finds a mistyped name, and none where none is near", () => {
  const names = ["run", "resume", "retry", "list", "show", "help", "version"];
  assertEquals(nearest("resum", names), "resume");
  assertEquals(nearest("lsit", names), "list");
  assertEquals(nearest("vers", names), "version");
  assertEquals(nearest("shwo", names), "show");
  assertEquals(nearest("order", names), undefined);
  assertEquals(nearest("x".repeat(10_000), names), undefined);
  assertEquals(nearest("", names), undefined);
  assertEquals(didYouMean("crsh", ["crash"], "--"), ' (did you mean "--crash"?)');
  assertEquals(didYouMean("order", names), "");
});

Deno.test("printableLine() replaces every character that a terminal acts on", () => {
  for (let code = 0; code < 0xa0; code++) {
    const char = String.fromCharCode(code);
    const acts = code < 0x20 || code >= 0x7f;
    assertEquals(printableLine(`a${char}b`), acts ? "a\ufffdb" : `a${char}b`, code.toString(16));
  }
  assertEquals(printableLine("a\u202eb\u2066c\u2028d"), "a\ufffdb\ufffdc\ufffdd");
  assertEquals(printableLine("naïve 日本語 👩‍💻"), "naïve 日本語 👩‍💻");
});

Deno.test("printableText() keeps lines and tabs", () => {
  assertEquals(printableText("a\n\tb\r\nc\rd\x1b[0m"), "a\n\tb\nc\ufffdd\ufffd[0m");
});

Deno.test("toJson() has a form for every value", () => {
  const circle: Record<string, unknown> = { name: "circle" };
  circle.self = circle;
  const shared = { a: 1 };
  const cases: [unknown, string][] = [
    [undefined, "null"],
    [null, "null"],
    [1n, '"1"'],
    [-0, "0"],
    [Infinity, '"Infinity"'],
    [Symbol("s"), '"Symbol(s)"'],
    [() => 1, "null"],
    [{ f: () => 1, u: undefined }, "{}"],
    [[undefined, NaN], '[null,"NaN"]'],
    [new Date(NaN), "null"],
    [new Date(0), '"1970-01-01T00:00:00.000Z"'],
    [/a/g, '"/a/g"'],
    [new URL("https://example.org/"), '"https://example.org/"'],
    [new Map([["a", new Set([1])]]), '{"a":[1]}'],
    [new Map([[{ k: 1 }, 2]]), '[[{"k":1},2]]'],
    [new Uint8Array([255, 0]), '"/wA="'],
    [new Uint8Array([255, 0]).buffer, '"/wA="'],
    [
      new TypeError("no", { cause: new Error("why") }),
      '{"name":"TypeError","message":"no","cause":{"name":"Error","message":"why"}}',
    ],
    [circle, '{"name":"circle","self":"[Circular]"}'],
    [[shared, shared], '[{"a":1},{"a":1}]'],
    [JSON.parse('{"__proto__":{"a":1}}'), '{"__proto__":{"a":1}}'],
    ["line\u2028\u0000", '"line\\u2028\\u0000"'],
  ];
  for (const [value, json] of cases) assertEquals(toJson(value), json);
  const acting = "\u009b31m\u202e\x7f\x1b\u2028";
  assertEquals(toJson([acting]), String.raw`["\u009b31m\u202e\u007f\u001b\u2028"]`);
  assertEquals(JSON.parse(toJson([acting])), [acting]);
});

Deno.test("toJson() ends on a value that is very deep", () => {
  let deep: unknown = "bottom";
  for (let i = 0; i < 5000; i++) deep = [deep];
  assertEquals(toJson(deep).includes("[Too deep]"), true);
});

/** Values of which little is stored, and which have more paths, or more places, than anybody can print. */
const BOMBS: Record<string, () => unknown> = {
  "lists of the same lists"() {
    let laughs: unknown = ["lol"];
    for (let i = 0; i < 28; i++) laughs = [laughs, laughs];
    return laughs;
  },
  "objects that know each other"() {
    const friends = Array.from({ length: 14 }, () => ({} as Record<string, unknown>));
    for (const each of friends) friends.forEach((friend, i) => each[`friend ${i}`] = friend);
    return { friends };
  },
  "maps that know each other"() {
    const friends = Array.from({ length: 14 }, () => new Map<unknown, unknown>());
    for (const each of friends) for (const friend of friends) each.set(friend, new Set(friends));
    return friends;
  },
  "a sparse array"() {
    const sparse: number[] = [];
    sparse[50_000_000] = 1;
    return sparse;
  },
  "a long string": () => "\u202e\u001b".repeat(2_000_000),
  "many bytes": () => new Uint8Array(100_000_000),
};

Deno.test("toJson() leaves out what is over its budget, says so, and is JSON still", () => {
  for (const [name, bomb] of Object.entries(BOMBS)) {
    for (const budget of [BUDGETS.line, BUDGETS.people, BUDGETS.event]) {
      const json = toJson({ bomb: bomb() }, budget);
      const text = JSON.stringify(JSON.parse(json));
      assertEquals([name, json.length <= 2 * budget.characters, /Left out/.test(text)], [name, true, true]);
    }
  }
  const report = toJson({
    bomb: new Budgeted(BOMBS["a sparse array"]!()),
    none: new Budgeted(undefined),
    after: 1,
  });
  assertEquals([report.length < 5_000_000, report.endsWith('49500002 more]"],"after":1}')], [true, true]);
});

Deno.test("toJson() says what it has left out, and how much", () => {
  const few = { nodes: 4, characters: 1_000 };
  assertEquals(toJson([1, 2, 3, 4, 5, 6], few), '[1,2,3,"[Left out: 3 more]"]');
  assertEquals(
    toJson({ a: 1, b: [2, 3], c: 4 }, few),
    '{"a":1,"b":[2,"[Left out: 1 more]"],"[Left out]":"1 more"}',
  );
  assertEquals(
    toJson(new Map([["a", 1], ["b", 2], ["c", 3], ["d", 4]]), few),
    '{"a":1,"b":2,"c":3,"[Left out]":"1 more"}',
  );
  assertEquals(toJson(new Set([1, 2, 3, 4, 5]), few), '[1,2,3,"[Left out: 2 more]"]');
  assertEquals(toJson("123456789", { nodes: 1, characters: 5 }), '"12345… [Left out: 4 characters]"');
  assertEquals(toJson(new Uint8Array(9), { nodes: 1, characters: 8 }), '"AAAAAAAA… [Left out: 3 bytes]"');
  assertEquals(leavingOut("ab👋", 3), "ab… [Left out: 2 characters]");
  assertEquals(toJson([[], {}, new Map(), ""], { nodes: 5, characters: 100 }), '[[],{},{},""]');
});

Deno.test("toJson(), describeError() and what is logged survive values that throw when they are looked at", () => {
  const getter = {
    get a() {
      throw new Error("boo\u001b");
    },
    b: 1,
  };
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const error = new Error();
  Object.defineProperty(error, "message", {
    get() {
      throw error;
    },
  });
  const date = new class extends Date {
    override toISOString(): string {
      throw "no";
    }
  }(0);
  assertEquals(toJson(getter), String.raw`{"a":"[Unreadable: boo\u001b]","b":1}`);
  assertEquals(JSON.parse(toJson([proxy, error, date, { toJSON: () => 1 }, Object.create(null)])), [
    "[Unreadable: Cannot perform 'IsArray' on a proxy that has been revoked]",
    { name: "Error", message: "[Unreadable]" },
    "1970-01-01T00:00:00.000Z",
    {},
    {},
  ]);
  assertEquals([proxy, error].map(describeError), [
    "Error, which cannot be read",
    "Error, which cannot be read",
  ]);
  assertEquals(logText({ message: Symbol("x"), fields: getter }), `"Symbol(x)" ${toJson(getter)}`);
  assertEquals(logText({ message: proxy, fields: undefined }).includes("Unreadable"), true);
});

Deno.test("errors are shown in so many characters at most", () => {
  const error = new RangeError(`first ${"x".repeat(1_000_000)}\nsecond`);
  assertEquals(describeError(error).length, 300);
  assertEquals(/x… \[Left out: \d+ characters\]$/.test(describeErrorInFull(error)), true);
  assertEquals(describeErrorInFull(error).length < 11_000, true);
});

Deno.test("table() and factLines() make whatever they are given printable", () => {
  const hostile = "\u001b[2J\u009b31m\u202e\n\u0007";
  const values = [
    hostile,
    1.5,
    2n,
    true,
    null,
    undefined,
    Uint8Array.of(27),
    { [hostile]: hostile },
    "x".repeat(10_000),
  ];
  const { faint, ...colours } = palette(false);
  const lines = [
    ...table(values.map((value) => [value, hostile])),
    ...factLines(values.map((value) => ["name", value]), { ...colours, faint }),
    ...factLines([["text", new Text(`${hostile}\nsecond`)]], { ...colours, faint }),
  ];
  const text = lines.join("\n");
  // deno-lint-ignore no-control-regex -- it is these that must not be there
  assertEquals(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/.test(text), false);
  assertEquals(lines.filter((line) => line.includes("\n")).length, 1);
  assertEquals(printableCell("x".repeat(10_000)).length, 300);
  assertEquals([null, undefined, 0, 2n, false].map(printableCell), ["", "", "0", "2", "false"]);
});

Deno.test("formatDuration() and formatMoment() are short", () => {
  const times = [0, 0.44, 9.99, 10, 999.4, 999.6, 59_949, 60_000, 200_000, 3_599_700, 7_500_000, 273_600_000];
  assertEquals(times.map(formatDuration), [
    "0 ms",
    "0.4 ms",
    "10 ms",
    "10 ms",
    "999 ms",
    "1.0 s",
    "59.9 s",
    "1 m 0 s",
    "3 m 20 s",
    "1 h 0 m",
    "2 h 5 m",
    "3 d 4 h",
  ]);
  assertEquals(formatMoment(new Date("2026-01-31T12:00:00.123Z")), "2026-01-31 12:00:00Z");
  assertEquals([formatMoment(new Date(NaN)), formatDuration(NaN)], ["no known time", "no known time"]);
});

Deno.test("table() aligns columns, and ends lines with their last cell", () => {
  assertEquals(table([["ID", "ERROR"], ["long", ""], ["a", "e"]]), ["ID    ERROR", "long", "a     e"]);
});

Deno.test("commandLine() quotes what a shell would split, and repeats flags", () => {
  assertEquals(commandLine("resume", "a-1", { location: "stepwell.db", modules: [] }), "stepwell resume a-1");
  assertEquals(
    commandLine("retry", "it's", { location: "my shop.db", modules: ["a.js", "b.js"] }),
    `stepwell retry 'it'\\''s' --db 'my shop.db' --module a.js --module b.js`,
  );
  assertEquals(
    commandLine("resume", "-a", { location: "b.db", modules: [] }),
    "stepwell resume --db b.db -- -a",
  );
});
