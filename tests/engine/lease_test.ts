import { type Clock, Engine, workflow, WorkflowBusyError } from "@stepwell/stepwell";
import { assertEquals, assertRejects } from "@std/assert";
import { LeaseWatch } from "../../engine/store/lease_watch.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { SettableClock } from "../settable_clock.ts";
import { temporaryFolder } from "../temporary_folder.ts";

const HOUR = 3_600_000;
const LEASE = 30_000;
const HEARTBEAT = LEASE / 3;

/** Clocks of users: those of before there was `monotonic()` have two members. */
const KINDS: readonly [string, (clock: SettableClock) => Clock][] = [
  ["a clock that says what passes", (clock) => clock],
  ["a clock of two members", (clock) => ({
    now: () => clock.now(),
    setTimer: (delayMs, wake, options) => clock.setTimer(delayMs, wake, options),
  })],
];

/** A workflow in a process that lives, and another process that works; the first does not renew its lease unless it is asked to. */
async function twoProcesses(kind: (clock: SettableClock) => Clock) {
  const folder = temporaryFolder();
  const file = folder.file("a.db");
  const gate = Promise.withResolvers<string>();
  let calls = 0;
  const held = workflow("held", (ctx) => ctx.step("hold", () => (calls++, gate.promise)));
  const start = Date.UTC(2030, 0, 1);
  const clocks = { first: new SettableClock(start), second: new SettableClock(start) };
  const first = await Engine.open(file, { workflows: [held], clock: kind(clocks.first) });
  const second = await Engine.open(file, { workflows: [held], clock: kind(clocks.second) });
  (await first.start(held, { id: "h" })).result().catch(() => {});
  await eventually(() => calls === 1);
  second.work();
  /** Time passes for the second process, or both, in small steps; each is long enough for a look at who is lost. */
  const pass = async (ms: number, moved = [clocks.second]) => {
    for (let passed = 0; passed < ms; passed += 250) {
      for (const clock of moved) clock.advance(250);
      // Through the same queue as the lease, which is so in the store, however slow that is.
      if (moved.includes(clocks.first)) await first.signal("other", "tick", 0, { idempotencyKey: "once" });
      await settled(second);
    }
  };
  await pass(1_000);
  return {
    clocks,
    held,
    second,
    pass,
    end: gate.resolve,
    calls: () => calls,
    recoveries: async () => (await second.get("h"))!.recoveries,
    async [Symbol.asyncDispose]() {
      gate.resolve("at the end");
      await second.close();
      await first.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Lets an engine do what it is about to: a few turns of the event loop, with what the store is asked for in each. */
async function settled(engine: Engine): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await new Promise((turn) => setTimeout(turn, 0));
    await engine.list({ limit: 1 });
  }
}

for (const [name, kind] of KINDS) {
  Deno.test(`a process that lives keeps its work when the clock jumps past its lease: ${name}`, async () => {
    await using two = await twoProcesses(kind);
    for (let jump = 0; jump < 3; jump++) {
      two.clocks.first.jump(HOUR);
      two.clocks.second.jump(HOUR);
      await two.pass(2.5 * HEARTBEAT, [two.clocks.first, two.clocks.second]);
    }
    assertEquals([await two.recoveries(), two.calls()], [0, 1]);
    two.end("as it did");
    await eventually(async () => (await two.second.get("h"))!.output === "as it did");
  });

  Deno.test(`a process that renews nothing after a jump loses its work after a heartbeat: ${name}`, async () => {
    await using two = await twoProcesses(kind);
    two.clocks.second.jump(HOUR);
    await two.pass(HEARTBEAT - 1_000);
    assertEquals(await two.recoveries(), 0);
    await two.pass(4_000);
    await eventually(async () => await two.recoveries() === 1);
  });

  Deno.test(`whoever asks for a workflow right after a jump is told how long a heartbeat lasts: ${name}`, async () => {
    await using two = await twoProcesses(kind);
    two.clocks.second.jump(HOUR);
    for (const act of [() => two.second.resume("h"), () => two.second.start(two.held, { id: "h" })]) {
      const { until } = await assertRejects(act, WorkflowBusyError);
      const leftMs = until.getTime() - two.clocks.second.now();
      assertEquals(leftMs >= HEARTBEAT && leftMs < HEARTBEAT + 2_000, true, `${leftMs}`);
    }
  });

  Deno.test(`a lease lasts no longer when the clock is set back: ${name}`, async () => {
    await using two = await twoProcesses(kind);
    two.clocks.second.jump(-HOUR);
    await two.pass(LEASE - 5_000);
    assertEquals(await two.recoveries(), 0);
    await two.pass(7_000);
    await eventually(async () => await two.recoveries() === 1);
  });
}

Deno.test("a process that goes on renews its lease, also a long one, when the clock is set back", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const gate = Promise.withResolvers<string>();
  const held = workflow("held", (ctx) => ctx.step("hold", () => gate.promise));
  const clock = new SettableClock();
  const options = { workflows: [held], clock, zombieTimeout: "30m" };
  await using first = await Engine.open(file, options);
  await using second = await Engine.open(file, options);
  const handle = await first.start(held, { id: "h" });
  second.work();
  await eventually(async () => (await second.get("h"))!.status === "running");
  clock.jump(-24 * HOUR);
  for (let minute = 0; minute < 90; minute++) {
    clock.advance(60_000);
    await settled(first);
    await settled(second);
  }
  assertEquals((await second.get("h"))!.recoveries, 0);
  gate.resolve("as it did");
  assertEquals(await handle.result(), "as it did");
});

Deno.test("LeaseWatch counts a lease as over by the clock where nothing was set", () => {
  const clock = new ManualClock();
  const leases = new LeaseWatch(clock, LEASE);
  const until = clock.now() + LEASE;
  assertEquals(leases.leftMs(1, until), LEASE);
  clock.advance(LEASE - 1);
  assertEquals(leases.leftMs(1, until), 1);
  clock.advance(1);
  assertEquals([leases.leftMs(1, until), leases.leftMs(2, until)], [0, 0]);
  leases.close();
});
