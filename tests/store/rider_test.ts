import { StoreError } from "@stepwell/stepwell";
import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import type { Batch, Database, Rider } from "../../engine/store/database.ts";
import { ManualClock } from "../manual_clock.ts";
import { countCommits } from "../write_ahead_log.ts";
import { testEachDriver } from "./each_driver.ts";

const insert = (value: string): Batch => [{ sql: "INSERT INTO t (value) VALUES (?)", params: [value] }];

/** A rider that remembers what happened to it. */
class TestRider implements Rider {
  readonly events: unknown[] = [];

  constructor(private readonly batch: () => Batch, readonly stream = 1) {}

  board(): Batch {
    this.events.push("board");
    return this.batch();
  }

  committed(counts: readonly number[]): void {
    this.events.push(counts);
  }

  failed(error: Error): void {
    this.events.push(error);
  }
}

async function openTable(open: (options: { clock: ManualClock }) => Promise<Database>) {
  const clock = new ManualClock();
  const database = await open({ clock });
  await database.write([{ sql: "CREATE TABLE t (value)", params: [] }]);
  return { clock, database };
}

async function values(database: Database): Promise<unknown[]> {
  return (await database.read({ sql: "SELECT value FROM t ORDER BY rowid", params: [] })).map(({ value }) =>
    value
  );
}

testEachDriver("a rider goes with the next commit, and costs none", async ({ open, file }) => {
  const { database } = await openTable(open);
  const rider = new TestRider(() => [...insert("a"), ...insert("b")]);
  database.rideAlong(rider);
  assertEquals([rider.events, await values(database)], [[], []]);
  const before = countCommits(file);
  await database.write(insert("driver"));
  assertEquals(countCommits(file) - before, 1);
  assertEquals(rider.events, ["board", [1, 1]]);
  assertEquals((await values(database)).toSorted(), ["a", "b", "driver"]);
  await database.write(insert("later"));
  assertEquals(rider.events, ["board", [1, 1]]);
});

testEachDriver(
  "a rider has its batch made at the time of the commit, and may have none by then",
  async ({ open }) => {
    const { database } = await openTable(open);
    let batch = insert("early");
    const rider = new TestRider(() => batch);
    const empty = new TestRider(() => []);
    database.rideAlong(rider);
    database.rideAlong(empty);
    batch = insert("late");
    await database.write(insert("driver"));
    assertEquals((await values(database)).toSorted(), ["driver", "late"]);
    assertEquals(empty.events, ["board"]);
  },
);

testEachDriver("a rider is committed alone after a while, if nobody else is", async ({ open }) => {
  const { clock, database } = await openTable(open);
  const done = Promise.withResolvers<void>();
  const rider = new TestRider(() => insert("alone"));
  rider.committed = () => done.resolve();
  database.rideAlong(rider);
  clock.advance(99);
  await database.read({ sql: "SELECT 1", params: [] });
  assertEquals(rider.events, []);
  clock.advance(1);
  await done.promise;
  assertEquals(await values(database), ["alone"]);
});

testEachDriver("a rider that fails takes nobody with it but its stream, and is told", async ({ open }) => {
  const { database } = await openTable(open);
  const rider = new TestRider(() => [{ sql: "INSERT INTO nowhere VALUES (1)", params: [] }]);
  const other = new TestRider(() => insert("another rider"), 2);
  const same = new TestRider(() => insert("of the same stream"), 1);
  for (const each of [rider, other, same]) database.rideAlong(each);
  await database.write(insert("driver"));
  assertInstanceOf(rider.events[1], StoreError);
  assertInstanceOf(same.events[1], StoreError);
  assertEquals(other.events, ["board", [1]]);
  assertEquals((await values(database)).toSorted(), ["another rider", "driver"]);
});

testEachDriver("a rider goes with a commit whose own batch fails", async ({ open }) => {
  const { database } = await openTable(open);
  const rider = new TestRider(() => insert("rider"));
  database.rideAlong(rider);
  await assertRejects(() => database.write([{ sql: "nonsense", params: [] }]), StoreError);
  assertEquals(rider.events, ["board", [1]]);
  assertEquals(await values(database), ["rider"]);
});

testEachDriver("a rider that waits when the database is closed is let go", async ({ open }) => {
  const { clock, database } = await openTable(open);
  const rider = new TestRider(() => insert("rider"));
  database.rideAlong(rider);
  await database.close();
  database.rideAlong(rider);
  clock.advance(1_000);
  assertEquals(rider.events, []);
});
