import { assertEquals } from "@std/assert";
import { Fifo } from "../../engine/fifo.ts";

Deno.test("Fifo gives its entries in their order, and what was put before them first", () => {
  const fifo = new Fifo<number>();
  assertEquals(fifo.shift(), undefined);
  fifo.push(1);
  fifo.unshift(0);
  fifo.push(2);
  assertEquals([fifo.length, fifo.shift(), fifo.shift()], [3, 0, 1]);
  fifo.unshift(9);
  assertEquals([fifo.shift(), fifo.shift(), fifo.shift(), fifo.length], [9, 2, undefined, 0]);
  for (let i = 0; i < 5_000; i++) fifo.push(i);
  for (let i = 0; i < 4_000; i++) assertEquals(fifo.shift(), i);
  assertEquals(fifo.length, 1_000);
  fifo.clear();
  assertEquals([fifo.length, fifo.shift()], [0, undefined]);
});
