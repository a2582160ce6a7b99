import { assert, assertEquals, assertGreaterOrEqual, assertRejects } from "@std/assert";
import { Engine, type EngineEvent, type Handle, workflow } from "@stepwell/stepwell";
import { countCommits } from "../../bench/count_commits.ts";
import { eventualStatus } from "../eventual_status.ts";
import { eventually } from "../eventually.ts";
import { SettableClock } from "../settable_clock.ts";
import { ManualClock } from "../manual_clock.ts";
import { openMortal } from "../mortal_database.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** A workflow that sleeps between two steps, and how often its function was called. */
function sleeper(ms: number) {
  const world = { calls: 0, steps: [] as string[] };
  const definition = workflow("sleeper", async (ctx) => {
    world.calls++;
    const before = ctx.now().getTime();
    await ctx.step("before", () => void world.steps.push("before"));
    await ctx.sleep(ms);
    const slept = ctx.now().getTime() - before;
    await ctx.step("after", () => void world.steps.push("after"));
    return slept;
  });
  return { definition, world };
}

Deno.test("sleep() lets the workflow go, and calls its function anew when its time has come, not before", async () => {
  // It notes each call of the function: so it is to be called for each run only.
  const clock = new ManualClock();
  const events: EngineEvent[] = [];
  await using engine = await Engine.open(":memory:", {
    clock,
    alwaysReplay: false,
    onEvent: (event) => events.push(event),
  });
  const { definition, world } = sleeper(3 * DAY_MS);
  const handle = await engine.start(definition, { id: "s" });
  await eventualStatus(handle, "waiting");
  assertEquals(world, { calls: 1, steps: ["before"] });
  assertEquals(
    events.flatMap((event) => event.type === "waiting" ? [event.until!.getTime() - clock.now()] : []),
    [3 * DAY_MS],
  );

  clock.advance(3 * DAY_MS - 1);
  await engine.run(workflow("other", (ctx) => ctx.step("step", () => 1)));
  assertEquals([await handle.status(), world.calls], ["waiting", 1]);
  clock.advance(1);
  assertEquals(await handle.result(), 3 * DAY_MS);
  assertEquals(world, { calls: 2, steps: ["before", "after"] });
  assertEquals(
    (await engine.get("s"))!.steps.map(({ key, kind, status }) => [key, kind, status]),
    [["before#000001", "step", "completed"], ["sleep#000001", "sleep", "completed"], [
      "after#000001",
      "step",
      "completed",
    ]],
  );
});

Deno.test("sleep() for a moment keeps the workflow in memory", async () => {
  await using engine = await Engine.open(":memory:", { alwaysReplay: false });
  const { definition, world } = sleeper(5);
  assertGreaterOrEqual(await engine.run(definition), 5);
  assertEquals(world.calls, 1);
});

Deno.test("sleep() costs one commit to let the workflow go, and one to wake it", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  await using engine = await Engine.open(file, { clock });
  const nap = workflow("nap", (ctx) => ctx.sleep("1h"));
  await engine.run(workflow("first", (ctx) => ctx.step("step", () => 1)));
  let handle: Handle;
  const parking = await countCommits(file, async () => {
    handle = await engine.start(nap, { id: "n" });
    await eventualStatus(handle, "waiting");
  });
  const waking = await countCommits(file, async () => {
    clock.advance(HOUR_MS);
    await handle.result();
  });
  // Making it and ending it are the other two.
  assertEquals({ parking, waking }, { parking: 2, waking: 2 });
});

Deno.test("sleepUntil() does not wait for what is past, and refuses what is no time", async () => {
  const clock = new ManualClock();
  await using engine = await Engine.open(":memory:", { clock });
  const times = workflow("times", async (ctx) => {
    await ctx.sleepUntil(new Date(clock.now() - DAY_MS));
    await ctx.sleepUntil(0);
    await ctx.sleepUntil(clock.now());
    await ctx.sleep(0);
    const refused: string[] = [];
    const wrong = ["tomorrow", "12", null, true, undefined] as unknown as Date[];
    for (const time of [new Date(NaN), NaN, Infinity, 1e300, ...wrong]) {
      refused.push(await ctx.sleepUntil(time).then(() => "slept", (error) => error.name));
    }
    await ctx.sleepUntil(new Date(clock.now() + HOUR_MS + 0.5));
    return refused;
  });
  const handle = await engine.start(times, { id: "t" });
  await eventualStatus(handle, "waiting");
  clock.advance(HOUR_MS + 1);
  assertEquals(await handle.result(), Array(9).fill("TypeError"));
});

Deno.test("sleep() goes on over a closed engine, and over a lost process, to the time it was for", async () => {
  for (const end of ["close", "kill"] as const) {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    const clock = new ManualClock();
    const { definition, world } = sleeper(DAY_MS);
    {
      const mortal = await openMortal(file, { clock });
      await eventualStatus(await mortal.engine.start(definition, { id: "s" }), "waiting");
      await (end === "close" ? mortal.engine.close() : mortal.kill());
    }
    clock.advance(DAY_MS / 2);
    {
      await using engine = await Engine.open(file, { clock, workflows: [definition] });
      await engine.resume("s");
      clock.advance(DAY_MS / 2 - 1);
      await engine.run(workflow("other", (ctx) => ctx.step("step", () => 1)));
      assertEquals([end, await engine.handle("s").status()], [end, "waiting"]);
    }
    clock.advance(DAY_MS);
    await using engine = await Engine.open(file, { clock });
    assertEquals(await engine.run(definition, { id: "s" }), 2 * DAY_MS - 1, end);
    assertEquals(world.steps, ["before", "after"], end);
  }
});

Deno.test("sleep() goes on to the time it was for where the engine is closed as soon as it has begun", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  let begun = 0;
  const both = workflow("both", async (ctx) => {
    await ctx.all([
      (ctx) => ctx.sleep("1h"),
      (ctx) => ctx.step("step", () => begun++ === 0 ? new Promise<void>(() => {}) : undefined),
    ]);
    return ctx.now().getTime();
  });
  const start = clock.now();
  {
    await using engine = await Engine.open(file, { clock, closeGrace: 0 });
    const handle = await engine.start(both, { id: "b" });
    await eventually(() => begun === 1);
    const refused = assertRejects(() => handle.result());
    await eventually(() => clock.timers.length > 0);
    await Promise.all([engine.close(), eventually(() => clock.advance(0) ?? true)]);
    await refused;
  }
  clock.advance(HOUR_MS);
  await using engine = await Engine.open(file, { clock });
  assertEquals(await engine.run(both, { id: "b" }), start + HOUR_MS);
});

Deno.test("sleep() in many branches ends in the order of the times, whenever somebody looks", async () => {
  const hours = [5, 1, 4, 2, 3];
  const branches = workflow("branches", async (ctx) => {
    const order: number[] = [];
    await ctx.all(hours.map((hour) => async (ctx) => {
      await ctx.sleep(`${hour}h`);
      order.push(hour);
    }));
    return order;
  });
  for (const stepMs of [HOUR_MS, 6 * HOUR_MS, 3 * HOUR_MS]) {
    const clock = new ManualClock();
    await using engine = await Engine.open(":memory:", { clock });
    const handle = await engine.start(branches, { id: "b" });
    let ended = false;
    const result = handle.result().finally(() => ended = true);
    while (!ended) {
      await eventually(async () => ended || await handle.status() === "waiting");
      clock.advance(stepMs);
      await eventually(() => ended || clock.timers.length > 0);
    }
    assertEquals(await result, [1, 2, 3, 4, 5], `every ${stepMs} ms`);
  }
});

Deno.test("sleep() that loses a race against a step is forgotten, and one that wins gives the step up", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  await using engine = await Engine.open(file, { clock, alwaysReplay: true });
  const go = Promise.withResolvers<string>();
  const race = workflow("race", async (ctx, input: { step: Promise<string> | string } | undefined) => {
    const winner = await Promise.race([
      ctx.sleep("1h").then(() => "sleep"),
      ctx.step("step", () => input === undefined ? go.promise : "step"),
    ]);
    return [winner, await ctx.step("next", () => winner)];
  });
  assertEquals(await engine.run(race, { id: "step wins", input: { step: "step" } }), ["step", "step"]);
  assertEquals(clock.timers, []);

  const handle = await engine.start(race, { id: "sleep wins" });
  await clock.nextTimer();
  clock.advance(HOUR_MS);
  assertEquals(await handle.result(), ["sleep", "sleep"]);
  assertEquals(
    query(file, "SELECT step_key, status FROM steps WHERE workflow_id = 'step wins' AND kind = 'sleep'"),
    [],
  );
  go.resolve("late");
});

Deno.test("a step in a backoff of an hour lets the workflow go, and its attempts are counted on", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const attempts: number[] = [];
  let calls = 0;
  const flaky = workflow("flaky", async (ctx) => {
    calls++;
    return await ctx.step("step", ({ attempt }) => {
      attempts.push(attempt);
      if (attempt < 4) throw new Error(`attempt ${attempt}`);
      return attempt;
    }, { retry: { maxAttempts: 5, initialInterval: "1h", maxInterval: "1h", jitter: 0 } });
  });
  {
    await using engine = await Engine.open(file, { clock });
    const handle = await engine.start(flaky, { id: "f" });
    await eventualStatus(handle, "waiting");
    clock.advance(HOUR_MS - 1);
    assertEquals(attempts, [1]);
    clock.advance(1);
    await eventually(() => attempts.length === 2);
    await eventualStatus(handle, "waiting");
    assertEquals(calls, 2);
  }
  clock.advance(HOUR_MS / 2);
  await using engine = await Engine.open(file, { clock });
  const handle = await engine.start(flaky, { id: "f" });
  clock.advance(HOUR_MS / 2);
  await eventually(() => attempts.length === 3);
  await eventualStatus(handle, "waiting");
  clock.advance(HOUR_MS);
  assertEquals(await handle.result(), 4);
  assertEquals(attempts, [1, 2, 3, 4]);
});

Deno.test("sleep() is neither lost nor doubled by a clock that is set forth or back", async () => {
  const clock = new SettableClock();
  await using engine = await Engine.open(":memory:", { clock });
  const steps: string[] = [];
  const sleeps = workflow("sleeps", async (ctx) => {
    for (const ms of [HOUR_MS, HOUR_MS, HOUR_MS, 500, 500]) {
      await ctx.sleep(ms);
      await ctx.step("step", ({ idempotencyKey }) => void steps.push(idempotencyKey));
    }
  });
  const handle = await engine.start(sleeps, { id: "s" });
  await eventualStatus(handle, "waiting");
  clock.jump(2 * HOUR_MS);
  // The machine is found to be late within a minute.
  clock.advance(60_000);
  await eventually(() => steps.length === 1);

  await eventualStatus(handle, "waiting");
  clock.advance(HOUR_MS / 2);
  clock.jump(-10 * HOUR_MS);
  clock.advance(HOUR_MS);
  await engine.run(workflow("other", (ctx) => ctx.step("step", () => 1)));
  assertEquals([await handle.status(), steps.length], ["waiting", 1]);
  clock.advance(10 * HOUR_MS);
  await eventually(() => steps.length === 2);

  await eventualStatus(handle, "waiting");
  clock.advance(HOUR_MS);
  // A short sleep is waited for in memory, by a timer that knows nothing of the clock.
  await eventually(() => steps.length === 3 && clock.timers[0] === 500);
  clock.jump(-HOUR_MS);
  clock.advance(500);
  assertEquals(steps.length, 3);
  await eventually(() => clock.timers.length > 0);
  clock.advance(HOUR_MS);
  await eventually(() => steps.length === 4 && clock.timers[0] === 500);
  clock.jump(HOUR_MS);
  clock.advance(500);
  await handle.result();
  assertEquals(new Set(steps).size, 5);
  assertEquals(steps.length, 5);
});

Deno.test("sleep() in a great many workflows at once keeps none of them in memory, and loses none", async () => {
  const clock = new ManualClock();
  await using engine = await Engine.open(":memory:", { clock });
  let steps = 0;
  const nap = workflow("nap", async (ctx, hours: number) => {
    await ctx.sleep(`${hours}h`);
    await ctx.step("step", () => void steps++);
  });
  const count = 1_200;
  const handles = await Promise.all(
    Array.from({ length: count }, (_, i) => engine.start(nap, { id: `n-${i}`, input: 1 + i % 3 })),
  );
  await eventually(async () => (await engine.list({ status: "running", limit: 1 })).length === 0);
  for (let hour = 1; hour <= 3; hour++) {
    assertEquals(steps, (hour - 1) * count / 3);
    clock.advance(HOUR_MS);
    await eventually(() => steps === hour * count / 3);
  }
  await Promise.all(handles.map((handle) => handle.result()));
  assert(clock.timers.every((ms) => ms < HOUR_MS));
});

Deno.test("sleep() beside a wait that is over leaves no timer behind", async () => {
  const clock = new ManualClock();
  await using engine = await Engine.open(":memory:", { clock });
  const handle = await engine.start(
    workflow("race", (ctx) => Promise.race([ctx.sleep("1h"), ctx.waitForSignal("go")])),
    { id: "r" },
  );
  await handle.signal("go", "went");
  assertEquals(await handle.result(), "went");
  assertEquals(clock.timers, []);
});
