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

Deno.test("a task of Turns waits for microtasks that go on for long, by whatever means a turn begins", async () => {
  const turns = new Turns();
  const early: number[] = [];
  // More turns than the first, light means are used for.
  for (let turn = 0; turn < 150; turn++) {
    let atRest = false;
    const work = async () => {
      for (let i = 0; i < 2_000; i++) await Promise.resolve();
      atRest = true;
    };
    void work();
    const { promise, resolve } = Promise.withResolvers<void>();
    turns.next(() => {
      if (!atRest) early.push(turn);
      resolve();
    });
    // Whatever goes on in another thread has come to its end by then.
    for (const until = performance.now() + 1; performance.now() < until;);
    await promise;
  }
  assertEquals(early, []);
});

for (const flag of ["--single-threaded", "--no-wasm-async-compilation", "--jitless"]) {
  Deno.test(`a task of Turns waits for the microtasks before it with V8's ${flag}`, async () => {
    const script = `import { Turns } from "${import.meta.resolve("../../engine/turns.ts")}";
      const turns = new Turns();
      let atRest = false;
      turns.next(() => console.log(atRest));
      for (let i = 0; i < 100; i++) await Promise.resolve();
      atRest = true;`;
    const file = await Deno.makeTempFile({ suffix: ".ts" });
    await Deno.writeTextFile(file, script);
    const args = ["run", "--quiet", "--no-check", "--no-config", `--v8-flags=${flag}`, file];
    const { stdout } = await new Deno.Command(Deno.execPath(), { args }).output();
    await Deno.remove(file);
    assertEquals(new TextDecoder().decode(stdout), "true\n");
  });
}

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
  const counted = Promise.withResolvers<void>();
  const count = () => {
    eventLoopTurns++;
    if (over) counted.resolve();
    else setImmediate(count);
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
  await counted.promise;
});
