import {
  Engine,
  queue,
  QueueFullError,
  ScheduleInputError,
  ScheduleNotFoundError,
  workflow,
  WorkflowStateError,
} from "@stepwell/stepwell";
import { schedule } from "@stepwell/stepwell/schedule";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { temporaryFolder } from "../temporary_folder.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const NOON = Date.UTC(2030, 0, 1, 12);

const iso = (at: number) => new Date(at).toISOString();
const report = workflow("report", (ctx, day: string) => ctx.step("write", () => day));
const idle = workflow("idle", async (ctx) => void await ctx.waitForSignal("go"));

/** The ids of the workflows that there are, in their order. */
async function ids(engine: Engine): Promise<string[]> {
  return (await engine.list({ limit: 10_000 })).map(({ id }) => id).toReversed();
}

Deno.test("schedule() knows its ticks, in its time zone, also where clocks go forward and back", () => {
  const ticks = (cron: string, from: string, count: number) => {
    const { next, previous } = schedule("s", {
      cron,
      timeZone: "Europe/Berlin",
      workflow: idle,
      input: undefined,
    });
    const found: number[] = [];
    for (let at = next(Date.parse(from)); found.length < count; at = next(at!)) found.push(at!);
    for (const at of found) {
      assertEquals([previous(at), previous(at + 999)], [at, at]);
      assert(previous(at - 1)! < at);
    }
    return found.map(iso);
  };
  // 02:30 does not exist on 2026-03-29, and is made up for; it exists twice on 2026-10-25, and ticks once.
  assertEquals(ticks("30 2 * * *", "2026-03-28T12:00:00Z", 2), [
    "2026-03-29T01:00:00.000Z",
    "2026-03-30T00:30:00.000Z",
  ]);
  assertEquals(ticks("30 2 * * *", "2026-10-24T12:00:00Z", 2), [
    "2026-10-25T00:30:00.000Z",
    "2026-10-26T01:30:00.000Z",
  ]);
  // What repeats goes on repeating.
  assertEquals(ticks("0 * * * *", "2026-10-24T23:30:00Z", 3), [
    "2026-10-25T00:00:00.000Z",
    "2026-10-25T01:00:00.000Z",
    "2026-10-25T02:00:00.000Z",
  ]);
  assertEquals(ticks("*/20 * * * * *", "2026-01-01T00:00:10Z", 2), [
    "2026-01-01T00:00:20.000Z",
    "2026-01-01T00:00:40.000Z",
  ]);
});

Deno.test("schedule() refuses what it cannot use", () => {
  const good = { cron: "@hourly", workflow: idle, input: undefined };
  const refusals: [() => unknown, string][] = [
    [() => schedule("", good), "a schedule's name"],
    [() => schedule("s", { ...good, cron: "61 * * * *" }), 'found "61 * * * *" and "UTC"'],
    [() => schedule("s", { ...good, timeZone: "Mars/Base" }), 'and "Mars/Base"'],
    [() => schedule("s", { ...good, missed: "some" as never }), "missed to be one of skip, latest, all"],
    [() => schedule("s", { ...good, overlap: "none" as never }), "overlap to be one of allow, skip, queue"],
    [() => schedule("s", { ...good, overlap: "queue", queue: "q" }), "wanted no queue beside overlap"],
    [() => schedule("s", { ...good, workflow: "idle" as never }), "wanted a workflow"],
    [() => schedule("s", { ...good, cron: 5 as never }), 'found 5 and "UTC"'],
    [() => schedule("s", { ...good, cron: "2030-01-01T00:00:00" }), "these are no five or six fields"],
    [() => schedule("s", { ...good, cron: "0 0 30 2 *" }), "there is no such time"],
    [() => schedule("s", { ...good, timeZone: "" }), "this is no time zone"],
    [() => schedule("s", { ...good, timeZone: null as never }), "this is no time zone"],
    [() => schedule("s", { ...good, timezone: "UTC" } as never), 'unknown option "timezone"'],
    [() => schedule("s", undefined as never), "wanted an object with options"],
    [() => schedule("s".repeat(201), good), "wanted 1 to 200 characters, found 201"],
  ];
  for (const [act, message] of refusals) assertThrows(act, Error, message);
});

Deno.test("each tick starts one workflow, named after it, over all engines that work", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock(NOON);
  const hourly = schedule("hourly", {
    cron: "0 * * * *",
    workflow: report,
    input: (tick) => tick.toISOString().slice(0, 13),
  });
  const options = { clock, workflows: [report], schedules: [hourly] };
  await using first = await Engine.open(file, options);
  await using second = await Engine.open(file, options);
  await using third = await Engine.open(file, options);
  for (const engine of [first, second, third]) engine.work();
  await eventually(async () => (await first.schedules()).length === 1);
  for (let hour = 1; hour <= 3; hour++) {
    await eventually(() => clock.timers.filter((ms) => ms === HOUR).length === 3);
    clock.advance(HOUR);
    await eventually(async () => (await ids(first)).length === hour);
    const handle = first.handle(`hourly@${iso(NOON + hour * HOUR)}`);
    await eventually(async () => (await handle.status()) === "completed");
  }
  assertEquals(await ids(first), [1, 2, 3].map((hour) => `hourly@${iso(NOON + hour * HOUR)}`));
  assertEquals(await first.handle(`hourly@${iso(NOON + HOUR)}`).result(), "2030-01-01T13");
  assertEquals(await first.schedules(), [{
    name: "hourly",
    workflow: "report",
    cron: "0 * * * *",
    timeZone: "UTC",
    missed: "latest",
    overlap: "allow",
    nextTickAt: new Date(NOON + 4 * HOUR),
    lastTickAt: new Date(NOON + 3 * HOUR),
    lastWorkflowId: `hourly@${iso(NOON + 3 * HOUR)}`,
  }]);
});

for (
  const [missed, lateMs, expected] of [
    ["latest", 30 * MINUTE, [5]],
    ["all", 30 * MINUTE, [1, 2, 3, 4, 5]],
    ["skip", 30 * MINUTE, []],
    ["skip", MINUTE / 2, [5]],
  ] as const
) {
  Deno.test(`ticks that nobody was there for: ${missed}, ${lateMs / 1_000} s after the last`, async () => {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    const clock = new ManualClock(NOON);
    const hourly = schedule("hourly", { cron: "@hourly", workflow: report, input: "day", missed });
    const options = { clock, workflows: [report], schedules: [hourly] };
    {
      await using engine = await Engine.open(file, options);
      engine.work();
      await eventually(async () => (await engine.schedules()).length === 1);
    }
    clock.advance(5 * HOUR + lateMs);
    await using engine = await Engine.open(file, options);
    engine.work();
    const next = HOUR - lateMs;
    await eventually(() => clock.timers.includes(next));
    assertEquals(await ids(engine), expected.map((hour) => `hourly@${iso(NOON + hour * HOUR)}`));
    clock.advance(next);
    await eventually(async () => (await ids(engine)).at(-1) === `hourly@${iso(NOON + 6 * HOUR)}`);
    assertEquals((await ids(engine)).length, expected.length + 1);
  });
}

Deno.test("overlap: skip starts none while the one before it has not ended, queue one after it", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock(NOON);
  const make = (overlap: "allow" | "skip" | "queue") =>
    schedule(overlap, { cron: "* * * * *", workflow: idle, input: undefined, overlap });
  const schedules = [make("allow"), make("skip"), make("queue")];
  await using engine = await Engine.open(folder.file("a.db"), { clock, workflows: [idle], schedules });
  engine.work();
  const named = async (name: string) => (await ids(engine)).filter((id) => id.startsWith(name));
  await eventually(async () => (await engine.schedules()).length === 3);
  for (let minute = 1; minute <= 3; minute++) {
    await eventually(() => clock.timers.some((ms) => ms <= MINUTE));
    clock.advance(MINUTE);
    await eventually(async () => (await named("queue")).length === minute);
    await eventually(async () => (await named("allow")).length === minute);
  }
  assertEquals((await named("skip")).length, 1);
  const begun = async () =>
    (await engine.list({ limit: 100 })).filter(({ id, runId }) =>
      id.startsWith("queue") && runId !== undefined
    ).map(({ id }) => id);
  const [first, second] = await named("queue");
  await eventually(async () => (await begun()).length === 1);
  assertEquals(await begun(), [first]);
  await engine.signal(first!, "go");
  await engine.handle(first!).result();
  await eventually(async () => (await begun()).length === 2);
  assertEquals((await begun()).includes(second!), true);

  const [skipped] = await named("skip");
  await engine.signal(skipped!, "go");
  await engine.handle(skipped!).result();
  await eventually(() => clock.timers.some((ms) => ms <= MINUTE));
  clock.advance(MINUTE);
  await eventually(async () => (await named("skip")).length === 2);
});

Deno.test("a schedule that is paused does not tick, and can be run now; once resumed, it makes up for nothing", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock(NOON);
  const hourly = schedule("hourly", { cron: "@hourly", workflow: report, input: "day", missed: "all" });
  await using engine = await Engine.open(folder.file("a.db"), {
    clock,
    workflows: [report],
    schedules: [hourly],
  });
  engine.work();
  await eventually(() => clock.timers.includes(HOUR));
  await engine.pauseSchedule("hourly");
  assertEquals((await engine.schedules())[0]!.pausedAt, new Date(NOON));
  clock.advance(2 * HOUR);
  const handle = await engine.triggerSchedule("hourly");
  assertEquals([handle.id, await handle.result()], [`hourly@${iso(NOON + 2 * HOUR)}`, "day"]);
  clock.advance(MINUTE);
  await engine.resumeSchedule("hourly");
  await eventually(() => clock.timers.includes(59 * MINUTE));
  clock.advance(59 * MINUTE);
  await eventually(async () => (await ids(engine)).length === 2);
  assertEquals((await ids(engine)).at(-1), `hourly@${iso(NOON + 3 * HOUR)}`);
  await assertRejects(() => engine.pauseSchedule("none"), ScheduleNotFoundError);
  await assertRejects(() => engine.triggerSchedule("none"), ScheduleNotFoundError);
});

Deno.test("a schedule whose input is made of the tick is run now only where its code is", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock(NOON);
  const daily = schedule("daily", { cron: "@daily", workflow: report, input: (tick) => iso(tick.getTime()) });
  await using engine = await Engine.open(file, { clock, workflows: [report], schedules: [daily] });
  engine.work();
  await eventually(async () => (await engine.schedules()).length === 1);
  await using other = await Engine.open(file, { clock });
  await assertRejects(() => other.triggerSchedule("daily"), ScheduleInputError);
  assertEquals(await (await engine.triggerSchedule("daily")).result(), iso(NOON));
});

Deno.test("a schedule whose times have changed makes up for none of the new ones", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock(NOON);
  const open = async (cron: string) => {
    const changing = schedule("changing", { cron, workflow: report, input: "day", missed: "all" });
    const engine = await Engine.open(file, { clock, workflows: [report], schedules: [changing] });
    engine.work();
    await eventually(async () => (await engine.schedules())[0]?.cron === cron);
    return engine;
  };
  const older = await open("@daily");
  clock.advance(3 * HOUR);
  await using newer = await open("@hourly");
  await eventually(() => clock.timers.includes(HOUR));
  assertEquals(await ids(newer), []);
  // Who works with the older definition does nothing more for it.
  clock.advance(HOUR);
  await eventually(async () => (await ids(newer)).length === 1);
  await older.close();
});

Deno.test("Engine.open() refuses schedules that are none, or of one name", async () => {
  const one = schedule("one", { cron: "@daily", workflow: report, input: "day" });
  await assertRejects(() => Engine.open(":memory:", { schedules: ["one" as never] }), TypeError, "schedules");
  await assertRejects(
    () => Engine.open(":memory:", { schedules: [one, one] }),
    TypeError,
    'two of them are named "one"',
  );
});

Deno.test("a tick for which there is no input has a workflow that failed, and the next one is none the worse", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock(NOON);
  let broken = true;
  const hourly = schedule("hourly", {
    cron: "@hourly",
    workflow: report,
    input: () => {
      if (broken) throw new RangeError("No such day");
      return "day";
    },
  });
  await using engine = await Engine.open(folder.file("a.db"), {
    clock,
    workflows: [report],
    schedules: [hourly],
  });
  engine.work();
  await eventually(() => clock.timers.includes(HOUR));
  clock.advance(HOUR);
  const first = engine.handle(`hourly@${iso(NOON + HOUR)}`);
  await eventually(async () => (await ids(engine)).length === 1);
  await assertRejects(() => first.result(), RangeError, "No such day");
  await assertRejects(() => engine.retry(first.id), WorkflowStateError, "it must be one that has an input");
  assertEquals((await engine.why(first.id)).movesOn, [
    "Once its schedule can make an input, engine.triggerSchedule() starts another one",
  ]);
  broken = false;
  await eventually(() => clock.timers.includes(HOUR));
  clock.advance(HOUR);
  await eventually(async () => (await ids(engine)).length === 2);
  assertEquals(await engine.handle(`hourly@${iso(NOON + 2 * HOUR)}`).result(), "day");
});

Deno.test("a definition is stored again once the process with another one is gone", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock(NOON);
  const open = async (cron: string) => {
    const rolling = schedule("rolling", { cron, workflow: report, input: "day" });
    const engine = await Engine.open(file, { clock, workflows: [report], schedules: [rolling] });
    engine.work();
    await eventually(async () => (await engine.schedules())[0]?.cron === cron);
    return engine;
  };
  await using newer = await open("@hourly");
  const older = await open("@daily");
  clock.advance(10);
  assertEquals((await newer.schedules())[0]!.cron, "@daily");
  await older.close();
  await eventually(async () => {
    clock.advance(10);
    return (await newer.schedules())[0]!.cron === "@hourly";
  });
  clock.advance(HOUR);
  await eventually(async () => (await ids(newer)).length === 1);
});

Deno.test("a schedule that catches up leaves the others their ticks", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock(NOON);
  const make = (name: string, missed: "all" | "latest") =>
    schedule(name, { cron: "* * * * *", workflow: report, input: name, missed });
  const options = {
    clock,
    workflows: [report],
    schedules: [make("behind", "all"), make("timely", "latest")],
  };
  {
    await using engine = await Engine.open(file, options);
    engine.work();
    await eventually(async () => (await engine.schedules()).length === 2);
  }
  clock.advance(100 * MINUTE + 1);
  await using engine = await Engine.open(file, options);
  engine.work();
  await eventually(async () => (await ids(engine)).length === 101);
  const order = await ids(engine);
  assert(order.indexOf(`timely@${iso(NOON + 100 * MINUTE)}`) < 30, `${order}`);
});

Deno.test("a clock that is set back has a schedule tick again, and nothing twice", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const hourly = schedule("hourly", { cron: "@hourly", workflow: report, input: "day" });
  const open = async (clock: ManualClock) => {
    const engine = await Engine.open(file, { clock, workflows: [report], schedules: [hourly] });
    engine.work();
    await eventually(() => clock.timers.includes(HOUR));
    return engine;
  };
  const ahead = new ManualClock(NOON + 24 * HOUR);
  {
    await using engine = await open(ahead);
    ahead.advance(HOUR);
    await eventually(async () => (await ids(engine)).length === 1);
  }
  const clock = new ManualClock(NOON);
  await using engine = await open(clock);
  for (let hour = 1; hour <= 25; hour++) {
    clock.advance(HOUR);
    await eventually(async () => (await engine.schedules())[0]!.lastTickAt!.getTime() === NOON + hour * HOUR);
    await eventually(() => clock.timers.includes(HOUR));
  }
  assertEquals((await ids(engine)).length, 25);
});

Deno.test("triggerSchedule() makes as many as it is asked for, and tells that a queue is full", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock(NOON);
  const short = queue("short", { maxDepth: 2 });
  const hourly = schedule("hourly", { cron: "@hourly", workflow: report, input: "day", queue: short });
  await using engine = await Engine.open(folder.file("a.db"), { clock, schedules: [hourly] });
  const made = [await engine.triggerSchedule("hourly"), await engine.triggerSchedule("hourly")];
  assertEquals(made.map(({ id }) => id), [`hourly@${iso(NOON)}`, `hourly@${iso(NOON + 1)}`]);
  await assertRejects(() => engine.triggerSchedule("hourly"), QueueFullError, "short");
});

Deno.test("triggerSchedule() finds a time for each of very many that are started at once", async () => {
  const clock = new ManualClock(NOON);
  const daily = schedule("daily", { cron: "@daily", workflow: report, input: "day" });
  await using engine = await Engine.open(":memory:", { clock, schedules: [daily] });
  const handles = await Promise.all(Array.from({ length: 200 }, () => engine.triggerSchedule("daily")));
  assertEquals(new Set(handles.map(({ id }) => id)).size, 200);
  assertEquals((await engine.get(handles.at(-1)!.id))!.createdAt, new Date(NOON));
});

Deno.test("work() that sees to some queues sees to no schedules", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock(NOON);
  const hourly = schedule("hourly", { cron: "@hourly", workflow: report, input: "day" });
  await using engine = await Engine.open(folder.file("a.db"), {
    clock,
    workflows: [report],
    schedules: [hourly],
  });
  engine.work({ queues: ["mail"] });
  await engine.enqueue(report, { queue: "mail", id: "m", input: "day" });
  await engine.handle("m").result();
  assertEquals(await engine.schedules(), []);
});
