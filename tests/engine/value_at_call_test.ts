import { Engine, type EngineEvent, type StandardSchema, workflow } from "@stepwell/stepwell";
import { schedule } from "@stepwell/stepwell/schedule";
import { assertEquals } from "@std/assert";

const echo = workflow("echo", (_ctx, input: unknown) => input);

/** A schema that reads what it is given once something else has had time to change it. */
const late: StandardSchema<Set<number>> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: async (value) => {
      await new Promise((later) => setTimeout(later));
      return { value: value as Set<number> };
    },
  },
};
const validated = workflow("validated", { input: late }, (_ctx, input) => input);

// The first of this file, and so the first in its process that needs the library for rich values.
Deno.test("a rich value is that of the call, also where the library for it is yet to be loaded", async () => {
  await using engine = await Engine.open(":memory:", { workflows: [echo] });
  const tags = new Set(["a"]);
  const starting = engine.start(echo, { input: tags });
  tags.clear();
  assertEquals(await (await starting).result(), new Set(["a"]));
});

Deno.test("what a workflow gives to children and readers is that of the call", async () => {
  const giving = workflow("giving", async (ctx) => {
    const batch = new Set([1]);
    const children = [
      ctx.child(echo, { input: batch as unknown }),
      ctx.child(validated, { input: batch }),
    ];
    batch.add(2);
    children.push(ctx.child(echo, { input: batch as unknown }), ctx.child(validated, { input: batch }));
    batch.clear();
    const buffer = new Uint8Array(1);
    const shown: Promise<void>[] = [];
    for (let i = 1; i <= 3; i++) {
      buffer[0] = i;
      shown.push(ctx.emit("chunks", buffer));
    }
    const state = new Map([["n", 1]]);
    shown.push(ctx.publish("state", state));
    state.set("n", 2);
    await Promise.all(shown);
    return await Promise.all(children);
  });
  await using engine = await Engine.open(":memory:", { workflows: [giving, echo, validated] });
  const handle = await engine.start(giving);
  assertEquals(await handle.result(), [
    new Set([1]),
    new Set([1]),
    new Set([1, 2]),
    new Set([1, 2]),
  ]);
  assertEquals(await handle.read("state"), new Map([["n", 1]]));
  const chunks: unknown[] = [];
  for await (const { value } of handle.stream("chunks")) chunks.push(value);
  assertEquals(chunks, [1, 2, 3].map((n) => Uint8Array.of(n)));
});

/** Values, each with what changes it. */
const changing: (() => [value: unknown, change: () => void, was: unknown])[] = [
  () => {
    const value = { n: 1 };
    return [value, () => value.n = 2, { n: 1 }];
  },
  () => {
    const value = { list: [new Map([["a", 1]])] };
    return [value, () => value.list[0]!.set("a", 2), { list: [new Map([["a", 1]])] }];
  },
  () => {
    const value = new Uint8Array([1, 2]);
    return [value, () => value.fill(9), new Uint8Array([1, 2])];
  },
  () => {
    const value = [new Date(5), new URL("https://a.example/")] as const;
    const was = [new Date(5), new URL("https://a.example/")];
    return [value, () => (value[0].setTime(6), value[1].pathname = "/b"), was];
  },
];

Deno.test("an input is that of the call, however it is given, and so is the payload of a signal", async () => {
  const told = workflow("told", async (ctx, input: unknown) => [input, await ctx.waitForSignal("s")]);
  await using engine = await Engine.open(":memory:", { workflows: [echo, told, validated] });
  engine.work();
  for (const make of changing) {
    const given = async (give: (value: unknown) => Promise<{ result(): Promise<unknown> }>) => {
      const [value, change, was] = make();
      const giving = give(value);
      change();
      assertEquals(await (await giving).result(), was);
    };
    await given((input) => engine.start(echo, { input }));
    await given((input) => {
      const running = engine.run(echo, { input });
      return Promise.resolve({ result: () => running });
    });
    await given((input) => engine.enqueue(echo, { input }));
    await given((input) => engine.enqueue("echo", { input, queue: "other" }));
    await given((input) => engine.start(validated, { input: input as Set<number> }));
    await given((input) => engine.enqueue(validated, { input: input as Set<number> }));
    const [value, change, was] = make();
    await engine.transaction(async (tx) => {
      const before = tx.start(echo, { input: 0 });
      const starting = tx.start(told, { id: `told-${changing.indexOf(make)}`, input: value });
      const sending = tx.signal(`told-${changing.indexOf(make)}`, "s", value);
      change();
      await Promise.all([before, starting, sending]);
    });
    assertEquals(await engine.handle(`told-${changing.indexOf(make)}`).result(), [was, was]);
    const [payload, changePayload, wasPayload] = make();
    const handle = await engine.start(told, { input: 0 });
    const sending = handle.signal("s", payload);
    changePayload();
    await sending;
    assertEquals(await handle.result(), [0, wasPayload]);
  }
});

Deno.test("a result is that of the return, whatever happens to it in the next moment", async () => {
  const make = () => {
    const value = new Set([1]);
    return { value, spoil: () => value.clear() };
  };
  /** Returns a value which is changed in the microtask after that. */
  const returning = (): Promise<Set<number>> => {
    const { value, spoil } = make();
    const { promise, resolve } = Promise.withResolvers<Set<number>>();
    resolve(value);
    promise.then(() => Promise.resolve()).then(spoil);
    return promise;
  };
  const atOnce = (): Set<number> => {
    const { value, spoil } = make();
    queueMicrotask(spoil);
    return value;
  };
  const all = workflow("all", async (ctx) => [
    await ctx.step("plain", returning),
    await ctx.step("sync", atOnce),
    await ctx.step("timed", returning, { timeout: "1m" }),
    await ctx.step("timed sync", atOnce, { timeout: "1m" }),
    await ctx.step("once", atOnce, { semantics: "at-most-once" }),
    await ctx.transaction("transaction", () => returning()),
    await ctx.transaction("sync", () => atOnce() as unknown as Promise<Set<number>>),
    await ctx.child(output),
  ]);
  const output = workflow("output", () => returning());
  await using engine = await Engine.open(":memory:", { workflows: [all, output] });
  assertEquals(await engine.run(all), Array.from({ length: 8 }, () => new Set([1])));
  assertEquals(await engine.run(output), new Set([1]));
  assertEquals(await engine.run(workflow("sync", () => atOnce())), new Set([1]));
});

Deno.test("the input of a schedule is that of its definition", async () => {
  const input = { to: ["ada@example.com"] };
  const hourly = schedule("hourly", { cron: "@hourly", workflow: echo as never, input: input as never });
  input.to.push("eve@example.com");
  await using engine = await Engine.open(":memory:", { workflows: [echo], schedules: [hourly] });
  engine.work();
  const handle = await engine.triggerSchedule("hourly");
  assertEquals(await handle.result(), { to: ["ada@example.com"] });
});

Deno.test("each who waits for an output, or is told of it, has one of his own", async () => {
  const events: EngineEvent[][] = [[], []];
  await using engine = await Engine.open(":memory:", { onEvent: (event) => void events[0]!.push(event) });
  const { promise, resolve } = Promise.withResolvers<void>();
  const making = workflow("making", async (ctx) => {
    const fields = { state: new Map([["n", 1]]) };
    ctx.log.info("made", fields);
    fields.state.set("n", 2);
    await ctx.step("wait", () => promise);
    return { list: [new Map([["n", 1]])] };
  });
  const handle = await engine.start(making, { id: "m" });
  const told = (async () => {
    for await (const event of handle.events()) events[1]!.push(event);
  })();
  const waiting = [engine.run(making, { id: "m" }), engine.run(making, { id: "m" }), handle.result()];
  resolve();
  const outputs = await Promise.all(waiting) as { list: Map<string, number>[] }[];
  await told;
  for (const list of events) {
    for (const event of list) if (event.type === "completed") outputs.push(event.output as typeof outputs[0]);
  }
  assertEquals(outputs.length, 5);
  for (const output of outputs) {
    assertEquals(output, { list: [new Map([["n", 1]])] });
    output.list[0]!.set("n", 2);
    output.list.push(new Map());
  }
  const logged = events[0]!.find((event) => event.type === "log");
  assertEquals(logged?.type === "log" && logged.fields, { state: new Map([["n", 1]]) });
});
