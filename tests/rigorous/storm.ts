/** What a storm does to the workflows of a file, drawn from a seed; and what is left once it is over. */

import { Engine, type EngineOptions, queue, workflow } from "@stepwell/stepwell";
import { assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import type { SeededRandom } from "../../engine/random.ts";
import { systemClock } from "../../engine/clock.ts";
import { assertLines } from "../lines.ts";
import { chance, integer, oneOf } from "./seed.ts";

/** The machine's clock, which is set now and then: short timers go by the time that passes. */
class StormClock {
  #offsetMs = 0;
  now = (): number => systemClock.now() + this.#offsetMs;
  setTimer: typeof systemClock.setTimer = (delayMs, wake, options) =>
    systemClock.setTimer(delayMs, wake, options);
  jump(ms: number): void {
    this.#offsetMs += ms;
  }
}

/** How long everything that can end may take for it once the storm is over, in milliseconds. */
const CALM_MS = 2_000;

const turn = (ms: number) => new Promise<void>((wake) => setTimeout(wake, ms));

/** Runs one storm on a file that is not there yet. @throws if something is left standing after it */
export async function storm(
  file: string,
  random: SeededRandom,
  { engines: count, actions }: { engines: number; actions: number },
): Promise<void> {
  const clock = new StormClock();
  let isBroken = false;
  const quick = workflow("quick", (ctx) => ctx.step("a", () => 1));
  const slow = workflow("slow", (ctx) => ctx.step("a", () => turn(5)));
  const sleeper = workflow("sleeper", async (ctx) => {
    await ctx.sleep(20);
    await ctx.step("a", () => 1);
    await ctx.sleep(1_100);
  });
  const waiter = workflow("waiter", (ctx) => ctx.waitForSignal("go", { timeout: 300 }));
  const failing = workflow("failing", (ctx) =>
    ctx.step("a", () => {
      if (isBroken) throw new Error("broken");
    }));
  const retrying = workflow("retrying", (ctx) =>
    ctx.step("a", ({ attempt }) => {
      if (attempt < 3) throw new Error("again");
    }, { retry: { maxAttempts: 3, initialInterval: 20, jitter: 0 } }));
  const parent = workflow(
    "parent",
    (ctx) =>
      ctx.all([
        (ctx) => ctx.child(quick),
        (ctx) => ctx.child(sleeper),
        (ctx) => ctx.child(slow, { detached: true }),
      ]),
  );
  const workflows = [quick, slow, sleeper, waiter, failing, retrying, parent];
  const queues = [
    queue("narrow", { concurrency: 1 }),
    queue("wide", { concurrency: 4, executorConcurrency: 2 }),
    queue("split", { partitionConcurrency: 1 }),
    queue("double", { partitionConcurrency: 2, concurrency: 3 }),
    queue("rated", { rate: { limit: 5, period: 150 } }),
    queue("free"),
  ];
  const told: string[] = [];
  const options: EngineOptions = {
    workflows,
    queues,
    clock,
    busyTimeout: 40,
    zombieTimeout: "3s",
    maxRunning: 30,
    closeGrace: 100,
    onEvent: ({ type }) => type === "overlooked" && told.push(type),
  };
  const engines: Engine[] = [];
  for (let i = 0; i < count; i++) engines.push(await Engine.open(file, options));
  const working = engines.map((engine) => engine.work({ concurrency: oneOf(random, [1, 3, 20]) }));
  const ids: string[] = [];
  const calls: Promise<unknown>[] = [];
  const attempt = (act: () => Promise<unknown>) => void calls.push(act().catch(() => {}));
  const locker = new DatabaseSync(file);
  const known = () => ids.length === 0 ? "none" : oneOf(random, ids);

  const enqueue = (engine: Engine) => {
    const id = `w${ids.length}`;
    ids.push(id);
    const key = `k${integer(random, 0, 3)}`;
    attempt(() =>
      engine.enqueue(oneOf(random, workflows).name, {
        id,
        queue: oneOf(random, queues),
        priority: integer(random, -2, 2),
        ...chance(random, 0.3) && { partition: oneOf(random, ["p", "q", "r"]) },
        ...chance(random, 0.2) && { delay: integer(random, 1, 200) },
        ...chance(random, 0.1) && { deduplicationKey: key },
        ...chance(random, 0.1) && { throttle: { key, period: 50 } },
      })
    );
  };
  const debounce = (engine: Engine) => {
    const key = `d${integer(random, 0, 2)}`;
    attempt(async () => {
      const { id } = await engine.enqueue("quick", {
        queue: oneOf(random, queues),
        partition: oneOf(random, ["p", "q"]),
        debounce: { key, period: integer(random, 5, 60) },
      });
      ids.push(id);
    });
  };
  const start = (engine: Engine) => {
    const id = chance(random, 0.3) ? known() : `w${ids.length}`;
    ids.push(id);
    attempt(() => engine.start(oneOf(random, workflows), { id }));
  };
  const lock = async () => {
    try {
      locker.exec("BEGIN IMMEDIATE");
    } catch {
      return;
    }
    await turn(integer(random, 10, 90));
    locker.exec("ROLLBACK");
  };
  const acts: ((engine: Engine) => unknown)[] = [
    enqueue,
    enqueue,
    enqueue,
    debounce,
    start,
    (engine) => attempt(() => engine.retry(known())),
    (engine) => attempt(() => engine.resume(known())),
    (engine) => attempt(() => engine.pause(known())),
    (engine) => attempt(() => engine.cancel(known())),
    (engine) => attempt(() => engine.signal(known(), "go")),
    (engine) =>
      attempt(async () => {
        const fork = await engine.fork(known(), { fromStep: "a" });
        ids.push(fork.id);
      }),
    (engine) => attempt(() => engine.pauseQueue(oneOf(random, queues))),
    (engine) => attempt(() => engine.resumeQueue(oneOf(random, queues))),
    (engine) =>
      attempt(() =>
        engine.transaction(async (tx) =>
          void ids.push(await tx.start<void, unknown>(oneOf(random, [quick, sleeper])))
        )
      ),
    () => void (isBroken = !isBroken),
    () => clock.jump(integer(random, -300, 2_000)),
    () => lock(),
    () => turn(integer(random, 1, 40)),
  ];
  for (let i = 0; i < actions; i++) {
    await oneOf(random, acts)(oneOf(random, engines));
    if (chance(random, 0.3)) await turn(integer(random, 0, 8));
  }

  // The storm is over: what keeps workflows from going on is taken away, and nothing else happens any more.
  isBroken = false;
  await Promise.all(calls);
  const [engine] = engines;
  for (const each of queues) await engine!.resumeQueue(each).catch(() => {});
  const paused = (await engine!.list({ status: "blocked", limit: 10_000 })).map(({ id }) => id);
  for (const id of paused) await engine!.resume(id).catch(() => {});
  locker.close();
  const raw = new DatabaseSync(file, { readOnly: true });
  const open = () =>
    raw.prepare(
      "SELECT workflow_id, name, status, queue FROM workflows WHERE status IN ('pending', 'running', 'waiting')",
    ).all();
  const deadline = performance.now() + CALM_MS * Number(Deno.env.get("STEPWELL_PATIENCE") ?? 4);
  // This looks from outside: what it does is no commit, and wakes none of the engines.
  while (open().length > 0 && performance.now() < deadline) await turn(20);
  const left = await Promise.all(
    open().map(async (row) => ({
      ...row,
      why: (await engine!.why(String(row.workflow_id))).reason,
    })),
  );
  raw.close();
  assertEquals(left, []);
  assertEquals(told, []);
  assertLines(file);
  await Promise.all(engines.map((each) => each.close()));
  await Promise.all(working);
}
