import { assertEquals } from "@std/assert";
import { Agenda } from "../../engine/agenda.ts";
import { SettableClock } from "../settable_clock.ts";

function agendaOf(clock: SettableClock): { agenda: Agenda; rung: (readonly string[])[] } {
  const rung: (readonly string[])[] = [];
  return { agenda: new Agenda(clock, (keys) => rung.push(keys)), rung };
}

Deno.test("an agenda rings at each of its times, the soonest first, and forgets none for another", () => {
  const clock = new SettableClock();
  const { agenda, rung } = agendaOf(clock);
  const now = clock.now();
  agenda.setTime("late", now + 1_000);
  agenda.setTime("soon", now + 300);
  agenda.setTime("same", now + 300);
  clock.advance(300);
  assertEquals(rung, [["soon", "same"]]);
  clock.advance(699);
  assertEquals(rung.length, 1);
  clock.advance(1);
  assertEquals(rung, [["soon", "same"], ["late"]]);
});

Deno.test("a time is replaced under its key, or kept where it is sooner, or taken back", () => {
  const clock = new SettableClock();
  const { agenda, rung } = agendaOf(clock);
  const now = clock.now();
  agenda.setTime("a", now + 100);
  agenda.setTime("a", now + 500);
  agenda.setLatest("b", now + 200);
  agenda.setLatest("b", now + 900);
  agenda.setTime("c", now + 50);
  agenda.setTime("c", undefined);
  clock.advance(499);
  assertEquals(rung, [["b"]]);
  clock.advance(1);
  assertEquals(rung, [["b"], ["a"]]);
});

Deno.test("a pause is over when so much time has passed, whatever the clock is set to", () => {
  const clock = new SettableClock();
  const { agenda, rung } = agendaOf(clock);
  agenda.pause("p", 1_000);
  clock.jump(-3_600_000);
  clock.advance(999);
  assertEquals([rung, agenda.isPaused("p"), agenda.paused], [[], true, 1]);
  clock.advance(1);
  assertEquals([rung, agenda.isPaused("p")], [[["p"]], false]);
  agenda.pause("q", 10);
  agenda.endPause("q");
  clock.advance(10);
  assertEquals(rung.length, 1);
});

Deno.test("a time that the clock is set back from is rung when it has come, and not before", () => {
  const clock = new SettableClock();
  const { agenda, rung } = agendaOf(clock);
  agenda.setTime("t", clock.now() + 1_000);
  clock.jump(-500);
  clock.advance(1_000);
  assertEquals(rung, []);
  clock.advance(500);
  assertEquals(rung, [["t"]]);
});

Deno.test("an agenda that is cleared rings no more", () => {
  const clock = new SettableClock();
  const { agenda, rung } = agendaOf(clock);
  agenda.setTime("t", clock.now() + 10);
  agenda.pause("p", 10);
  agenda.clear();
  clock.advance(1_000);
  assertEquals([rung, clock.timers], [[], []]);
});

Deno.test("an agenda that is closed takes nothing more", () => {
  const clock = new SettableClock();
  const { agenda, rung } = agendaOf(clock);
  agenda.close();
  agenda.setTime("t", clock.now() + 10);
  agenda.setLatest("u", clock.now() + 10);
  agenda.pause("p", 10);
  clock.advance(1_000);
  assertEquals([rung, clock.timers, agenda.isPaused("p")], [[], [], false]);
});
