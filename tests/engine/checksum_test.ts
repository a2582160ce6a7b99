import { assertEquals, assertNotEquals } from "@std/assert";
import { crc32, crc32Numbers } from "../../engine/checksum.ts";

/** CRC-32 by its definition, bit by bit. */
function crc32ByDefinition(text: string): number {
  let crc = 0xffffffff;
  for (const byte of new TextEncoder().encode(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

const texts = [
  "",
  "a",
  "123456789",
  "\u0000",
  "ä€💴",
  "\u007f\u0080\u07ff\u0800\uffff\u{10000}\u{10ffff}",
  "x".repeat(999),
];

Deno.test("crc32() is the CRC-32 of a text's bytes in UTF-8", () => {
  for (const text of texts) assertEquals(crc32(text), crc32ByDefinition(text), text);
  assertEquals(crc32("123456789"), 0xcbf43926);
});

Deno.test("crc32() goes on from the checksum of what comes before", () => {
  for (const first of texts) {
    for (const then of texts) assertEquals(crc32(then, crc32(first)), crc32(first + then));
  }
});

Deno.test("crc32() finds every change of a bit, and of neighbouring characters", () => {
  const text = '{"receipt":17,"total":9.5}';
  const sum = crc32(text);
  for (let i = 0; i < text.length; i++) {
    for (let bit = 0; bit < 7; bit++) {
      const flipped = String.fromCharCode(text.charCodeAt(i) ^ (1 << bit));
      assertNotEquals(crc32(text.slice(0, i) + flipped + text.slice(i + 1)), sum);
    }
    assertNotEquals(crc32(text.slice(0, i)), sum);
  }
});

Deno.test("crc32Numbers() tells numbers, null and what is no number apart", () => {
  const sum = (...numbers: unknown[]) => crc32Numbers(numbers as number[], 0);
  const different = [[0], [1], [-1], [5.5], [2 ** 31], [2 ** 53], [null], ["5"], [5], [], [0, 0], [0, 1], [
    1,
    0,
  ], [null, 0]];
  assertEquals(new Set(different.map((numbers) => sum(...numbers))).size, different.length);
  assertEquals(sum(1, null, 2 ** 40), sum(1, null, 2 ** 40));
  assertEquals(crc32Numbers([3], crc32Numbers([1, 2], 7)), crc32Numbers([1, 2, 3], 7));
});
