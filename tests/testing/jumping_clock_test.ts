import { JumpingClock } from "@stepwell/stepwell/testing";
import { assertEquals, assertThrows } from "@std/assert";

Deno.test("JumpingClock calls timers in the order of their times, each at its time", async () => {
  const clock = new JumpingClock({ start: 1_000 });
  const rung: [string, number][] = [];
  const ring = (name: string) => () => void rung.push([name, clock.now()]);
  clock.setTimer(500_000, ring("later"));
  clock.setTimer(20, ring("sooner"));
  clock.setTimer(30, ring("called off"))();
  await clock.sleep("1h");
  assertEquals(rung, [["sooner", 1_020], ["later", 501_000]]);
  assertEquals(clock.now(), 3_601_000);
});

Deno.test("JumpingClock calls what is due at once without moving", async () => {
  const clock = new JumpingClock({ start: 5 });
  await clock.sleep(0);
  assertEquals(clock.now(), 5);
});

Deno.test("JumpingClock jumps to no background timer, and calls one that has come due once a jump", async () => {
  const clock = new JumpingClock({ start: 0 });
  let beats = 0;
  const beat = () => {
    beats++;
    clock.setTimer(10, beat, { background: true });
  };
  clock.setTimer(10, beat, { background: true });
  await new Promise((done) => setTimeout(done, 20));
  assertEquals([clock.now(), beats], [0, 0]);
  await clock.sleep("1d");
  assertEquals(beats, 1);
});

Deno.test("JumpingClock.advance() moves it, also while it does not jump", async () => {
  const clock = new JumpingClock({ start: 0 });
  clock.jumping = false;
  let woken = false;
  clock.setTimer(60_000, () => woken = true);
  await new Promise((done) => setTimeout(done, 20));
  assertEquals([clock.timers, woken], [[60_000], false]);
  clock.advance("59s");
  assertEquals([clock.timers, woken], [[1_000], false]);
  clock.advance(1_000);
  assertEquals([clock.timers, woken], [[], true]);
  assertEquals(clock.now(), 60_000);
});

Deno.test("JumpingClock refuses a start that is no time", () => {
  assertThrows(() => new JumpingClock({ start: NaN }), TypeError, "Cannot start a clock");
});
