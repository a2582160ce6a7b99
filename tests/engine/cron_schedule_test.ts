import { workflow } from "@stepwell/stepwell";
import { nextTicks, schedule } from "@stepwell/stepwell/schedule";
import { assert, assertEquals } from "@std/assert";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

const idle = workflow("idle", () => undefined);

/** A cron expression whose minute, hour and days are read here, independently of what reads them in the engine. */
interface Expression {
  readonly minute: string;
  readonly hour: string;
  readonly day?: string;
  readonly weekday?: string;
}

function cronOf({ minute, hour, day = "*", weekday = "*" }: Expression): string {
  return `${minute} ${hour} ${day} * ${weekday}`;
}

/** The values of a field: wildcards, lists, ranges, steps. */
function valuesOf(field: string, from: number, to: number): Set<number> {
  const values = new Set<number>();
  for (const part of field.split(",")) {
    const [range, step = "1"] = part.split("/");
    const [first, last = first] = range === "*" ? [from, to] : range!.split("-").map(Number);
    for (let value = first!; value <= last!; value += Number(step)) values.add(value);
  }
  return values;
}

/** What the clocks of a time zone show at each minute of a span: as if that were UTC, in milliseconds. */
function wallMinutes(timeZone: string, from: number, to: number): { at: number; wall: number }[] {
  const format = new Intl.DateTimeFormat("en-GB", {
    timeZone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  });
  const minutes: { at: number; wall: number }[] = [];
  for (let at = from; at <= to; at += MINUTE) {
    const parts = Object.fromEntries(
      format.formatToParts(at).map(({ type, value }) => [type, Number(value)]),
    );
    const { year, month, day, hour, minute } = parts;
    minutes.push({ at, wall: Date.UTC(year!, month! - 1, day, hour, minute) });
  }
  return minutes;
}

/** The ticks of an expression by the rule that is documented, minute by minute. */
function expectedTicks(expression: Expression, minutes: readonly { at: number; wall: number }[]): number[] {
  const { minute, hour, day = "*", weekday = "*" } = expression;
  const [inMinutes, inHours] = [valuesOf(minute, 0, 59), valuesOf(hour, 0, 23)];
  const [inDays, inWeekdays] = [valuesOf(day, 1, 31), valuesOf(weekday, 0, 6)];
  const matches = (wall: number) => {
    const date = new Date(wall);
    return inMinutes.has(date.getUTCMinutes()) && inHours.has(date.getUTCHours()) &&
      inDays.has(date.getUTCDate()) && inWeekdays.has(date.getUTCDay());
  };
  const isFixed = !/[*/]/.test(minute + hour);
  const ticks: number[] = [];
  let latest = minutes[0]!.wall - MINUTE;
  for (const { at, wall } of minutes) {
    let isTick = matches(wall) && !(isFixed && wall <= latest);
    if (isFixed) {
      for (let skipped = latest + MINUTE; skipped < wall; skipped += MINUTE) isTick ||= matches(skipped);
    }
    latest = Math.max(latest, wall);
    if (isTick) ticks.push(at);
  }
  return ticks;
}

const EXPRESSIONS: readonly Expression[] = [
  { minute: "30", hour: "2" },
  { minute: "0,30", hour: "2" },
  { minute: "15,45", hour: "0-3" },
  { minute: "0-59", hour: "1,2" },
  { minute: "5", hour: "0,1,2,3,23" },
  { minute: "*/10", hour: "2" },
  { minute: "0-40/20", hour: "1-3" },
  { minute: "30", hour: "*" },
  { minute: "20", hour: "*/2" },
  { minute: "*", hour: "1,2" },
  { minute: "0,30", hour: "0-23" },
  { minute: "0,15", hour: "1-3", weekday: "0" },
  { minute: "10,50", hour: "0-3", day: "1,15-31" },
];

/** Time zones, each with days on which its clocks change: forward and back, by an hour or half, at night and at midnight. */
const CHANGES: readonly (readonly [string, readonly string[]])[] = [
  ["Europe/Berlin", ["2026-03-29", "2026-10-25"]],
  ["America/New_York", ["2026-03-08", "2026-11-01"]],
  ["Australia/Lord_Howe", ["2026-04-05", "2026-10-04"]],
  ["America/St_Johns", ["2026-03-08", "2026-11-01", "2010-03-14", "2010-11-07"]],
  ["Africa/Casablanca", ["2026-02-15", "2026-03-22"]],
  ["America/Santiago", ["2026-04-05", "2026-09-06"]],
  ["Asia/Beirut", ["2026-03-29", "2026-10-25"]],
  ["Europe/London", ["2026-03-29", "2026-10-25"]],
  ["Asia/Kathmandu", ["2026-03-29"]],
  ["UTC", ["2026-03-29"]],
];

for (const [timeZone, days] of CHANGES) {
  Deno.test(`schedule() ticks as documented where clocks change: ${timeZone}`, () => {
    for (const day of days) {
      const from = Date.parse(`${day}T00:00:00Z`) - 1.5 * DAY;
      const to = from + 3 * DAY;
      const minutes = wallMinutes(timeZone, from - DAY, to);
      for (const expression of EXPRESSIONS) {
        const cron = cronOf(expression);
        const expected = expectedTicks(expression, minutes).filter((at) => at > from).map(iso);
        const { next, previous } = schedule("s", { cron, timeZone, workflow: idle, input: undefined });
        const found: number[] = [];
        for (let at = next(from); at !== undefined && at <= to; at = next(at)) found.push(at);
        const where = `"${cron}" about ${day}`;
        assertEquals(found.map(iso), expected, where);
        // Whoever looks back finds the same ticks as who looks forward.
        for (const [i, at] of found.entries()) {
          assertEquals([previous(at), previous(at + MINUTE - 1)], [at, at], `${where}, back from ${iso(at)}`);
          if (i > 0) assertEquals(previous(at - 1), found[i - 1], `${where}, back from before ${iso(at)}`);
        }
        const ticks = nextTicks(cron, { timeZone, after: new Date(from), count: found.length });
        assertEquals(ticks.map((tick) => tick.getTime()), found, where);
      }
      assert(minutes.length > 0);
    }
  });
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
