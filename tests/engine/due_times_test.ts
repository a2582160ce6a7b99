import { assertEquals } from "@std/assert";
import { DueTimes } from "../../engine/due_times.ts";
import { SeededRandom } from "../../engine/random.ts";

Deno.test("dueBy() gives what is due in the order of its time, and earliest the first time of all", () => {
  const times = new DueTimes<string>();
  assertEquals([times.earliest, times.size, times.dueBy(Infinity)], [Infinity, 0, []]);
  for (const [key, at] of [["c", 30], ["a", 10], ["d", 40], ["b", 20], ["never", Infinity]] as const) {
    times.set(key, at);
  }
  assertEquals([times.earliest, times.size], [10, 4]);
  assertEquals(times.dueBy(30), ["a", "b", "c"]);
  assertEquals(times.dueBy(9), []);
  times.set("a", 35);
  assertEquals([times.earliest, times.dueBy(40)], [20, ["b", "c", "a", "d"]]);
  assertEquals([times.delete("b"), times.delete("b")], [true, false]);
  times.set("c", Infinity);
  assertEquals([times.earliest, times.dueBy(40)], [35, ["a", "d"]]);
  times.clear();
  assertEquals([times.earliest, times.size], [Infinity, 0]);
});

Deno.test("DueTimes is what a list that is sorted whenever it changes would be", () => {
  const random = new SeededRandom(7);
  const times = new DueTimes<number>();
  const list = new Map<number, number>();
  for (let i = 0; i < 3_000; i++) {
    const key = Math.floor(random.fraction() * 200);
    if (random.fraction() < 0.4) {
      assertEquals(times.delete(key), list.delete(key));
    } else {
      const at = Math.floor(random.fraction() * 1_000);
      times.set(key, at);
      list.set(key, at);
    }
    const now = Math.floor(random.fraction() * 1_000);
    const due = [...list].filter(([, at]) => at <= now).map(([, at]) => at).sort((a, b) => a - b);
    assertEquals(times.dueBy(now).map((key) => list.get(key)), due);
    assertEquals([times.size, times.earliest], [list.size, Math.min(Infinity, ...list.values())]);
  }
});
