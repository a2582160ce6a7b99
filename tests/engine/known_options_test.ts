import {
  checkReplay,
  type Context,
  Engine,
  type EngineOptions,
  queue,
  type Transaction,
  workflow,
} from "@stepwell/stepwell";
import { nextTicks, schedule } from "@stepwell/stepwell/schedule";
import { assertSurvivesCrashes, crashEverywhere, JumpingClock, TestEngine } from "@stepwell/stepwell/testing";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { engineSettings } from "../../engine/options.ts";
import { temporaryFolder } from "../temporary_folder.ts";

const quick = workflow("quick", () => "done");

/** What is given as options where a call takes some. */
type Given = Record<string, unknown>;

/** Calls that take options: what is theirs already, and the beginning of the refusal. */
interface Call {
  readonly call: (given: never) => unknown;
  readonly others?: Given;
  readonly act: string;
  /** What goes before the names of options that are inside one. */
  readonly within?: string;
}

const within = (call: (given: never) => unknown, act: string, others: Given = {}, within = ""): Call => ({
  call,
  act,
  others,
  within,
});

/** Calls `act` in a workflow. */
function inWorkflow(act: (ctx: Context) => unknown): Promise<unknown> {
  return withEngine((engine) => engine.run(workflow("calling", async (ctx) => void await act(ctx))));
}

function inTransaction(act: (tx: Transaction) => Promise<unknown>): Promise<unknown> {
  return withEngine((engine) => engine.transaction(async (tx) => void await act(tx)));
}

async function withEngine(act: (engine: Engine) => unknown, options?: EngineOptions): Promise<unknown> {
  await using engine = await Engine.open(":memory:", options);
  return await act(engine);
}

const step = (options: (given: Given) => Given) => (given: Given) =>
  inWorkflow((ctx) => ctx.step("pay", () => 1, options(given)));

const CALLS: readonly Call[] = [
  within((given) => workflow("quick", given, () => 1), 'define workflow "quick"'),
  within((given) => withEngine(() => {}, given), "open an engine"),
  within((given) => withEngine((engine) => engine.run(quick, given)), 'start workflow "quick"'),
  within((given) => withEngine((engine) => engine.start(quick, given)), 'start workflow "quick"'),
  within((given) => withEngine((engine) => engine.list(given)), "list workflows"),
  within((given) => withEngine((engine) => engine.fork("w", given)), 'fork workflow "w"', { fromStep: "a" }),
  within((given) => withEngine((engine) => engine.signal("w", "go", 1, given)), 'send signal "go"'),
  within(
    (given) => withEngine((engine) => engine.handle("w").signal("go", 1, given)),
    'send signal "go"',
  ),
  within((given) => withEngine((engine) => engine.transaction(() => 1, given)), "run a transaction"),
  within((given) => withEngine((engine) => engine.work(given)), "work"),
  within((given) => withEngine((engine) => engine.enqueue(quick, given)), "enqueue"),
  within((given) => withEngine((engine) => engine.enqueue("quick", given)), "enqueue"),
  within(
    (debounce) => withEngine((engine) => engine.enqueue(quick, { debounce })),
    "enqueue",
    { key: "k", period: 1 },
    "debounce.",
  ),
  within(
    (throttle) => withEngine((engine) => engine.enqueue(quick, { throttle })),
    "enqueue",
    { key: "k", period: 1 },
    "throttle.",
  ),
  within((given) => withEngine((engine) => engine.handle("w").read("key", given)), 'read "key"'),
  within((given) => withEngine((engine) => engine.handle("w").stream("log", given)), 'read stream "log"'),
  within((given) => queue("mail", given), 'limit queue "mail"'),
  within((rate) => queue("mail", { rate }), 'limit queue "mail"', { limit: 1, period: 1 }, "rate."),
  within(
    (given) => schedule("daily", given),
    'make schedule "daily"',
    { cron: "@daily", workflow: quick },
  ),
  within((given) => nextTicks("@daily", given), 'list the ticks of "@daily"', {
    timeZone: "UTC",
    after: new Date(0),
    count: 1,
  }),
  within((given) => checkReplay("a.db", given), "check replays", { workflows: [] }),
  within(step((given) => given), 'run step "pay"'),
  within(step((retry) => ({ retry })), 'run step "pay"', {}, "retry."),
  within(step((compensate) => ({ compensate })), 'run step "pay"', { undo: () => {} }, "compensate."),
  within(
    step((retry) => ({ compensate: { undo: () => {}, retry } })),
    'undo step "pay"',
    {},
    "retry.",
  ),
  within(
    (given) => inWorkflow((ctx) => ctx.transaction("move", () => 1, given)),
    'run transaction "move"',
  ),
  within(
    (retry) => inWorkflow((ctx) => ctx.transaction("move", () => 1, { retry })),
    'run transaction "move"',
    {},
    "retry.",
  ),
  within((given) => inWorkflow((ctx) => ctx.all([], given)), "run branches"),
  within((given) => inWorkflow((ctx) => ctx.waitForSignal("go", given)), 'wait for signal "go"'),
  within((given) => inWorkflow((ctx) => ctx.child(quick, given)), 'start child "quick"'),
  within((given) => inTransaction((tx) => tx.signal("w", "go", 1, given)), 'send signal "go"'),
  within((given) => inTransaction((tx) => tx.start(quick, given)), 'start workflow "quick"'),
  within((given) => TestEngine.open(given), "open a test engine"),
  within(async (given) => {
    await using test = await TestEngine.open();
    return await test.run(quick, given);
  }, 'start workflow "quick"'),
  within(async (given) => {
    await using test = await TestEngine.open();
    return await test.signal("w", "go", 1, given);
  }, 'send signal "go"'),
  within((given) => crashEverywhere(quick, given), 'crash workflow "quick"'),
  within((given) => assertSurvivesCrashes(quick, given), 'crash workflow "quick"'),
  within((given) => new JumpingClock(given), "make a clock"),
  within((fault) => TestEngine.open({ faults: [fault] }), "plan a fault", { fail: "pay" }),
  within((fault) => TestEngine.open({ faults: [fault] }), "plan a fault", { crash: "before", commit: 1 }),
  within((fault) => TestEngine.open({ faults: [fault] }), "plan a fault", { crash: "before", step: "pay" }),
  within((fault) => TestEngine.open({ faults: [fault] }), "plan a fault", { repeat: "go" }),
];

/** Whether it throws or rejects, as a promise. */
async function attempt(act: () => unknown): Promise<unknown> {
  return await act();
}

Deno.test("every call that takes options refuses one that it does not know, and names those it knows", async () => {
  for (const { call, others = {}, act, within = "" } of CALLS) {
    const error = await assertRejects(
      () => attempt(() => call({ ...others, misspelt: "1s" } as never)),
      TypeError,
      `Cannot ${act}: unknown option "${within}misspelt"; known options are `,
    );
    for (const known of Object.keys(others)) assertEquals(error.message.includes(within + known), true, act);
  }
});

Deno.test("every call that takes options refuses what can have none, and null", async () => {
  for (const { call, act, within = "" } of CALLS) {
    // A fault says so in words of its own; always-replay mode adds to the options of an engine before that sees them.
    if (act === "plan a fault" || act === "open an engine") continue;
    const as = within === "" ? "" : ` as ${within.slice(0, -1)}`;
    const bad: [unknown, string][] = [[null, "null"], [["order-17"], "an array"]];
    // These say so in an own way; a queue's rate, say, has nothing else to be.
    if (within !== "compensate.") bad.push(["order-17", '"order-17"']);
    bad.push([Promise.resolve({}), "a promise"], [new Map([["id", "a"]]), "an instance of Map"]);
    for (const [given, found] of bad) {
      await assertRejects(
        () => attempt(() => call(given as never)),
        TypeError,
        `Cannot ${act}: wanted an object with options${as}, found ${found}`,
      );
    }
  }
});

Deno.test("Engine.open() refuses null as its options", () => {
  const message = "Cannot open an engine: wanted an object with options, found null";
  assertThrows(() => engineSettings(null as never), TypeError, message);
});

Deno.test("an option that is given as undefined counts as not given, whatever its name", async () => {
  const all = { maxAttempts: undefined, initialInterval: undefined, jitter: undefined, attempts: undefined };
  const calm = workflow(
    "calm",
    { version: undefined, timeout: undefined } as never,
    (ctx: Context) =>
      ctx.step("pay", () => "paid", { retry: all, timeout: undefined, semantics: undefined } as never),
  );
  const none = Object.fromEntries(
    ["workflows", "clock", "random", "durability", "alwaysReplay", "onEvent", "maxSteps", "prio"]
      .map((name) => [name, undefined]),
  );
  await using engine = await Engine.open(":memory:", none as EngineOptions);
  assertEquals(await engine.run(calm, { id: undefined, input: undefined, idd: undefined } as never), "paid");
  assertEquals(await engine.list({ status: undefined, limit: undefined } as never).then((l) => l.length), 1);
});

Deno.test("options may be an instance of a class, and what its class gives it counts", async () => {
  class Start {
    id = "order-17";
  }
  class Typo {}
  Object.assign(Typo.prototype, { idd: "order-17" });
  await using engine = await Engine.open(":memory:");
  await engine.run(quick, new Start());
  await engine.run(quick, Object.assign(Object.create(null), { id: "order-18" }));
  assertEquals((await engine.list()).map(({ id }) => id), ["order-18", "order-17"]);
  await assertRejects(() => engine.run(quick, new Typo() as never), TypeError, 'unknown option "idd"');
});

Deno.test("engine.run() with an id in the place of its options starts nothing", async () => {
  await using engine = await Engine.open(":memory:");
  await assertRejects(
    () => engine.run(quick, "order-17" as never),
    TypeError,
    'Cannot start workflow "quick": wanted an object with options, found "order-17"',
  );
  assertEquals(await engine.list(), []);
});

Deno.test("an option that is true or false is not taken from a text", async () => {
  for (const option of ["alwaysReplay", "growWal"]) {
    for (const value of ["false", 0, null]) {
      await assertRejects(
        () => Engine.open(":memory:", { [option]: value } as EngineOptions),
        TypeError,
        `Cannot open an engine: wanted a boolean as ${option}`,
      );
    }
  }
});

Deno.test("an option that is null is refused, where it is not one of the values that it can have", async () => {
  const options = ["clock", "random", "zombieTimeout", "closeGrace", "busyTimeout", "transactionTimeout"];
  const numbers = ["maxRecoveries", "maxValueBytes", "maxSteps", "maxRunning"];
  for (const option of [...options, ...numbers, "durability", "sqlite", "workflows", "queues", "schedules"]) {
    await assertRejects(
      () => Engine.open(":memory:", { [option]: null } as EngineOptions),
      numbers.includes(option) ? RangeError : TypeError,
      "Cannot ",
    );
  }
  const nulls: [string, unknown][] = [["retry", null], ["compensate", null], ["timeout", null], [
    "semantics",
    null,
  ]];
  for (const [option, value] of [...nulls, ["compensate", false], ["compensate", ""]] as const) {
    await assertRejects(
      () => inWorkflow((ctx) => ctx.step("pay", () => 1, { [option]: value })),
      TypeError,
      "Cannot ",
    );
  }
  await assertRejects(() => inWorkflow((ctx) => ctx.child(quick, { id: null } as never)), TypeError, "null");
});

Deno.test("numbers that are none are refused by name, wherever one is given", async () => {
  await using folder = temporaryFolder();
  const wrong: (() => unknown)[] = [
    () => nextTicks("@daily", { timeZone: "UTC", after: new Date(0), count: NaN }),
    () => nextTicks("@daily", { timeZone: "UTC", after: new Date(0), count: 1e9 }),
    () => nextTicks("@daily", { timeZone: "UTC", after: new Date(NaN), count: 1 }),
    () => nextTicks("@daily", { timeZone: "UTC", after: 0 as never, count: 1 }),
    () => schedule("daily", { cron: "@daily", workflow: quick }).next(NaN),
    () => schedule("daily", { cron: "@daily", workflow: quick }).previous(NaN),
    () => checkReplay(folder.file("a.db"), { workflows: [], concurrency: NaN }),
    () => queue("mail", { concurrency: NaN }),
    () => queue("mail", { rate: { limit: NaN, period: NaN } }),
    () => workflow("w", { timeout: NaN }, () => {}),
    () => withEngine((engine) => engine.run(quick, { timeout: NaN })),
    () => withEngine((engine) => engine.list({ limit: NaN })),
    () => withEngine((engine) => engine.work({ concurrency: NaN })),
    () => withEngine((engine) => engine.transaction(() => 1, { timeout: NaN })),
    () => withEngine((engine) => engine.enqueue(quick, { priority: NaN })),
    () => withEngine((engine) => engine.enqueue(quick, { delay: NaN })),
    () => withEngine((engine) => engine.enqueue(quick, { startAt: NaN })),
    () => withEngine((engine) => engine.handle("w").stream("log", { from: NaN })),
    () => withEngine((engine) => engine.handle("w").read("key", { wait: NaN })),
    () => inWorkflow((ctx) => ctx.sleep(NaN)),
    () => inWorkflow((ctx) => ctx.sleepUntil(NaN)),
    () => inWorkflow((ctx) => ctx.sleepUntil(new Date(NaN))),
    () => inWorkflow((ctx) => ctx.waitForSignal("go", { timeout: NaN })),
    () => inWorkflow((ctx) => ctx.child(quick, { timeout: NaN })),
    () => inWorkflow((ctx) => ctx.all([], { concurrency: NaN })),
    () => inWorkflow((ctx) => ctx.step("pay", () => 1, { timeout: NaN })),
    ...["maxAttempts", "initialInterval", "backoff", "maxInterval", "jitter"].flatMap((option) =>
      [NaN, "x", Symbol("x"), Object.create(null), 10n].map((value) => () =>
        inWorkflow((ctx) => ctx.step("pay", () => 1, { retry: { [option]: value as never } }))
      )
    ),
    () => TestEngine.open({ seed: NaN }),
    () => TestEngine.open({ start: NaN }),
    () => TestEngine.open({ patience: NaN }),
    () => TestEngine.open({ faults: [{ crash: "before", commit: NaN }] }),
    () => new JumpingClock({ start: NaN }),
    () => new JumpingClock().advance(NaN),
    () => crashEverywhere(quick, { maxPoints: NaN }),
  ];
  for (const [i, call] of wrong.entries()) {
    const error = await assertRejects(() => attempt(call), Error, "Cannot ", `${i}`) as Error;
    assertEquals(error instanceof TypeError || error instanceof RangeError, true, `${i}: ${error}`);
  }
});

Deno.test("messages stay short, whatever they quote", async () => {
  const long = "x".repeat(1_000_000);
  const calls: (() => unknown)[] = [
    () => workflow(long, () => {}),
    () => workflow("w", { [long]: 1 } as never, () => {}),
    () => workflow("w", { timeout: long }, () => {}),
    () => workflow("w", { timeout: `${"9".repeat(1_000_000)}d` }, () => {}),
    () => schedule("daily", { cron: "* ".repeat(50_000), workflow: quick }),
    () => schedule("daily", { cron: `@${long}`, workflow: quick }),
    () => schedule("daily", { cron: `${"0,".repeat(100_000)}0 0 0 0 0`, workflow: quick }),
    () => schedule("daily", { cron: "@daily", timeZone: long, workflow: quick }),
    () => schedule("daily", { cron: "@daily", missed: long as never, workflow: quick }),
    () => nextTicks(long, { timeZone: "UTC", after: new Date(), count: 1 }),
    () => Engine.open(`http://${long}`),
    () => withEngine(() => {}, { durability: long as never }),
    () => withEngine(() => {}, { workflows: [workflow("a", () => {}), long as never] }),
    () => withEngine((engine) => engine.run(quick, { id: long })),
    () => withEngine((engine) => engine.run(quick, long as never)),
    () => withEngine((engine) => engine.list({ status: long as never })),
    () => withEngine((engine) => engine.list({ limit: long as never })),
    () => withEngine((engine) => engine.signal("w", long)),
    () => withEngine((engine) => engine.work({ queues: long as never })),
    () => withEngine((engine) => engine.enqueue(quick, { priority: long as never })),
    () => inWorkflow((ctx) => ctx.step(long, () => 1)),
    () => inWorkflow((ctx) => ctx.step(long, 5 as never)),
    () => inWorkflow((ctx) => ctx.step(long, () => 1, { retries: 1 } as never)),
    () => inWorkflow((ctx) => ctx.step("a", () => ctx.step(long, () => 1))),
    () => inWorkflow((ctx) => ctx.step("a", () => 1, { semantics: long as never })),
    () => inWorkflow((ctx) => ctx.step("a", () => 1, { retry: { maxAttempts: 10n ** 100_000n as never } })),
    () => inWorkflow((ctx) => ctx.child(quick, { id: long })),
    () => inWorkflow((ctx) => ctx.sleep(long)),
    () => inWorkflow((ctx) => ctx.sleepUntil(long as never)),
    () => inTransaction((tx) => tx.run(`SELECT '${long.repeat(5)}' FROM nowhere`)),
    () => inTransaction((tx) => tx.run(`SELECT ${long.repeat(5)}`)),
    () => inWorkflow((ctx) => ctx.step("a", () => ({ [long]: () => 1 }))),
    () => inWorkflow((ctx) => ctx.step(long, () => 1, { timeout: "soon" })),
    () => Engine.open(long),
    () => inTransaction((tx) => tx.run(`BOGUS ${long.repeat(5)}`)),
    () => inTransaction((tx) => tx.run(long.repeat(5))),
  ];
  for (const [i, call] of calls.entries()) {
    const error = await assertRejects(() => attempt(call), Error, undefined, `${i}`) as Error;
    assertEquals(
      error.message.length < 1_000,
      true,
      `${i}: ${error.message.length} ${error.message.slice(0, 90)}`,
    );
  }
});

Deno.test("a message names the first of many workflows, and how many more there are", async () => {
  const workflows = Array.from({ length: 5_000 }, (_, i) => workflow(`${"w".repeat(200)}${i}`, () => {}));
  await using engine = await Engine.open(":memory:", { workflows });
  await engine.enqueue("missing", { id: "m" });
  const error = await assertRejects(() => engine.resume("m"), Error, "and 4980 more");
  assertEquals(error.message.length < 10_000, true);
});

Deno.test("a method of ctx that was taken off it says how it is called", async () => {
  for (
    const method of [
      "step",
      "transaction",
      "sleep",
      "sleepUntil",
      "waitForSignal",
      "child",
      "publish",
      "emit",
      "all",
    ]
  ) {
    await assertRejects(
      () =>
        inWorkflow((ctx) => {
          const taken = (ctx as unknown as Record<string, () => unknown>)[method]!;
          return taken();
        }),
      TypeError,
      `Cannot call ${method}() by itself: wanted it to be called on its context, as ctx.${method}()`,
    );
  }
  for (const method of ["patched", "now", "random", "uuid"] as const) {
    await inWorkflow((ctx) => {
      const taken = ctx[method] as () => unknown;
      assertThrows(() => taken(), TypeError, `as ctx.${method}()`);
    });
  }
});
