import { systemClock } from "@stepwell/stepwell";
import { assertEquals, assertGreaterOrEqual } from "@std/assert";

for (const background of [false, true]) {
  const kind = background ? "background" : "foreground";

  Deno.test(`systemClock calls a ${kind} timer once, when its time has come`, async () => {
    const begin = systemClock.now();
    let calls = 0;
    // Another timer, as a background one alone does not keep the test waiting.
    const limit = setTimeout(() => {}, 10_000);
    await new Promise<void>((resolve) => {
      systemClock.setTimer(20, () => {
        calls++;
        resolve();
      }, { background });
    });
    clearTimeout(limit);
    assertGreaterOrEqual(systemClock.now() - begin, 19);
    assertEquals(calls, 1);
  });

  Deno.test(`systemClock does not call a ${kind} timer that was called off, before its time or after`, async () => {
    const called: string[] = [];
    const cancels = [0, 1, 5, 2 ** 40].map((ms) =>
      systemClock.setTimer(ms, () => called.push(`${ms}`), { background })
    );
    for (const cancel of cancels) cancel();
    await new Promise<void>((resolve) => systemClock.setTimer(30, resolve));
    for (const cancel of cancels) cancel();
    assertEquals(called, []);
  });

  Deno.test(`systemClock waits for a ${kind} timer that is longer than what setTimeout takes`, async () => {
    const called: number[] = [];
    const cancels = [2 ** 31, 2 ** 32 + 1, 9e12].map((ms) =>
      systemClock.setTimer(ms, () => called.push(ms), { background })
    );
    await new Promise<void>((resolve) => systemClock.setTimer(30, resolve));
    for (const cancel of cancels) cancel();
    assertEquals(called, []);
  });
}

Deno.test("systemClock does not call a timer that was called off when it was due already", async () => {
  /** In a task of its own, as most of the engine's work is done. */
  const nextTask = () => {
    const { port1, port2 } = new MessageChannel();
    return new Promise<void>((resolve) => {
      port1.onmessage = () => {
        port1.close();
        port2.close();
        resolve();
      };
      port2.postMessage(undefined);
    });
  };
  const calledOff = new Set<number>();
  const rung: number[] = [];
  for (let round = 0; round < 20; round++) {
    const cancels = Array.from({ length: 200 }, (_, i) => {
      const number = round * 200 + i;
      const cancel = systemClock.setTimer(5 + i % 7, () => calledOff.has(number) && rung.push(number));
      return () => {
        calledOff.add(number);
        cancel();
      };
    });
    for (let i = 0; i < cancels.length; i += 5) {
      const until = performance.now() + 1;
      while (performance.now() < until);
      for (const cancel of cancels.slice(i, i + 5)) cancel();
      await nextTask();
    }
  }
  assertEquals(rung, []);
});

Deno.test("a background timer of systemClock does not keep a process alive, a foreground one does", async () => {
  const run = async (background: boolean, delayMs: number) => {
    const script = `import { systemClock } from "${import.meta.resolve("../../engine/clock.ts")}";
      systemClock.setTimer(${delayMs}, () => console.log("called"), { background: ${background} });`;
    const file = await Deno.makeTempFile({ suffix: ".ts" });
    await Deno.writeTextFile(file, script);
    const args = ["run", "--quiet", "--no-check", "--no-config", file];
    const { stdout } = await new Deno.Command(Deno.execPath(), { args }).output();
    await Deno.remove(file);
    return new TextDecoder().decode(stdout);
  };
  assertEquals([await run(true, 3_600_000), await run(false, 50)], ["", "called\n"]);
});
