import { assertEquals, assertGreaterOrEqual, assertLessOrEqual } from "@std/assert";
import { setImmediate } from "node:timers";
import { Turns } from "../../engine/turns.ts";

Deno.test("a task of Turns runs in a turn of its own, after all microtasks of the code before it", async () => {
  const turns = new Turns();
  const order: string[] = [];
  const done = Promise.withResolvers<void>();
  const microtasks = async (name: string) => {
    for (let i = 0; i < 3; i++) await Promise.resolve();
    order.push(`${name} has come to rest`);
  };
  turns.next(() => {
    void microtasks("first");
    turns.next(() => {
      void microtasks("second");
      turns.next(done.resolve);
    });
  });
  void microtasks("before");
  await done.promise;
  assertEquals(order, ["before has come to rest", "first has come to rest", "second has come to rest"]);
});

Deno.test("what waits for quiet runs once no other task is left", async () => {
  const turns = new Turns();
  const order: string[] = [];
  const done = Promise.withResolvers<void>();
  turns.whenQuiet(() => {
    order.push("quiet");
    done.resolve();
  });
  let left = 50;
  const busy = () => {
    order.push("busy");
    if (--left > 0) turns.next(busy);
  };
  turns.next(busy);
  await done.promise;
  assertEquals(order, [...Array(50).fill("busy"), "quiet"]);
});

Deno.test("what waits for quiet waits a bounded number of turns", async () => {
  const turns = new Turns();
  let busyTurns = 0;
  let over = false;
  const done = Promise.withResolvers<void>();
  const busy = () => {
    busyTurns++;
    if (!over) turns.next(busy);
  };
  turns.next(busy);
  turns.whenQuiet(() => {
    over = true;
    done.resolve();
  });
  await done.promise;
  assertLessOrEqual(busyTurns, 257);
});

Deno.test("the number of the turn is another one for each turn", async () => {
  const turns = new Turns();
  const numbers: number[] = [];
  for (let i = 0; i < 200; i++) {
    await new Promise<void>((resolve) =>
      turns.next(() => {
        numbers.push(turns.number);
        resolve();
      })
    );
  }
  assertEquals(new Set(numbers).size, 200);
});

Deno.test("turns that share one of the event loop come after all microtasks too, and let it go on", async () => {
  const turns = new Turns({ now: () => 0 });
  let eventLoopTurns = 0;
  let over = false;
  const count = () => {
    eventLoopTurns++;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  let busy = 0;
  const microtasks = async (number: number) => {
    busy++;
    for (let i = 0; i < number; i++) await Promise.resolve();
    busy--;
  };
  for (let i = 0; i < 2_000; i++) {
    await new Promise<void>((resolve) =>
      turns.next(() => {
        assertEquals(busy, 0);
        void microtasks(i % 10);
        resolve();
      })
    );
  }
  over = true;
  assertGreaterOrEqual(eventLoopTurns, 2_000 / 64 - 2);
});
