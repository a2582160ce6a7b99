import { assertEquals } from "@std/assert";
import { commandLine } from "../../cli/command_line.ts";
import { formatDuration, formatMoment } from "../../cli/format_time.ts";
import { didYouMean, nearest } from "../../cli/nearest.ts";
import { toJson } from "../../cli/plain_json.ts";
import { printableLine, printableText } from "../../cli/printable.ts";
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
