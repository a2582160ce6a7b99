import { assertEquals } from "@std/assert";
import { CommitWatch } from "../../engine/store/commit_watch.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** Only there does the system tell of writes to a file that stays open. */
const ignore = Deno.build.os !== "linux";
/** As many looks as it takes to find that nobody writes. */
const QUIET_MS = 200;

interface Watched extends AsyncDisposable {
  readonly clock: ManualClock;
  /** How often the listener was called. */
  readonly told: () => number;
  /** How often the version was asked for. */
  readonly looks: () => number;
  /** Commits as another connection would. @param telling whether anything is written to the log */
  commit(telling?: boolean): void;
  /** Commits as the connection itself would. */
  commitOwn(): void;
  stop(): void;
}

function watchLog(): Watched {
  const folder = temporaryFolder();
  const log = folder.file("a.db-wal");
  Deno.writeTextFileSync(log, "");
  const clock = new ManualClock();
  let [version, ownCommits, told, looks] = [1, 0, 0, 0];
  const watch = new CommitWatch({
    clock,
    log,
    version: () => {
      looks++;
      return version;
    },
    ownCommits: () => ownCommits,
  });
  const stop = watch.listen(() => told++);
  const write = () => Deno.writeTextFileSync(log, "frame", { append: true });
  return {
    clock,
    told: () => told,
    looks: () => looks,
    commit(telling = true) {
      version++;
      if (telling) write();
    },
    commitOwn() {
      ownCommits++;
      write();
    },
    stop,
    async [Symbol.asyncDispose]() {
      stop();
      await folder[Symbol.asyncDispose]();
    },
  };
}

function advance(clock: ManualClock, ms: number): void {
  for (let passed = 0; passed < ms; passed += 10) clock.advance(10);
}

Deno.test("CommitWatch tells of a commit at its next look while somebody writes", async () => {
  await using watched = watchLog();
  watched.commit(false);
  assertEquals(watched.told(), 0);
  advance(watched.clock, 20);
  assertEquals(watched.told(), 1);
  advance(watched.clock, 100);
  assertEquals(watched.told(), 1);
});

Deno.test({
  name: "CommitWatch is awakened by a write, without any time passing, when nobody has written for a while",
  ignore,
  async fn() {
    await using watched = watchLog();
    advance(watched.clock, QUIET_MS + 20);
    for (let commits = 1; commits <= 3; commits++) {
      watched.commit();
      await eventually(() => watched.told() === commits);
      advance(watched.clock, QUIET_MS + 20);
    }
    assertEquals(watched.told(), 3);
  },
});

Deno.test({
  name: "CommitWatch looks once a second when nobody has written for a while",
  ignore,
  async fn() {
    await using watched = watchLog();
    advance(watched.clock, QUIET_MS + 20);
    const before = watched.looks();
    advance(watched.clock, 10_000);
    // One when it is time, one when the next write is told of again.
    assertEquals(watched.looks() - before, 20);
  },
});

Deno.test({
  name: "CommitWatch does not rest while its own connection commits, and tells nobody of that",
  ignore,
  async fn() {
    await using watched = watchLog();
    for (let i = 0; i < 100; i++) {
      watched.commitOwn();
      advance(watched.clock, 10);
    }
    // Had it rested, only a write would be told of.
    watched.commit(false);
    advance(watched.clock, 20);
    assertEquals(watched.told(), 1);
  },
});

Deno.test({
  name: "CommitWatch goes back to looking when its own connection commits while it rests",
  ignore,
  async fn() {
    await using watched = watchLog();
    advance(watched.clock, QUIET_MS + 20);
    const before = watched.looks();
    watched.commitOwn();
    await eventually(() => watched.looks() > before);
    watched.commit(false);
    advance(watched.clock, 20);
    assertEquals(watched.told(), 1);
  },
});

Deno.test("CommitWatch finds commits that no write tells of, and then relies on its looks", async () => {
  await using watched = watchLog();
  for (let commits = 1; commits <= 3; commits++) {
    advance(watched.clock, QUIET_MS + 20);
    watched.commit(false);
    advance(watched.clock, 1_010);
    assertEquals(watched.told(), commits);
  }
  advance(watched.clock, QUIET_MS + 20);
  watched.commit(false);
  advance(watched.clock, 50);
  assertEquals(watched.told(), 4);
});

Deno.test({
  name: "CommitWatch tries again after a while whether it is told of writes",
  ignore,
  async fn() {
    await using watched = watchLog();
    for (let commits = 1; commits <= 3; commits++) {
      advance(watched.clock, QUIET_MS + 20);
      watched.commit(false);
      advance(watched.clock, 1_010);
    }
    for (let passed = 0; passed < 61_000; passed += 10) watched.clock.advance(10);
    const before = watched.looks();
    advance(watched.clock, 10_000);
    assertEquals(watched.looks() - before < 30, true, "It still looks all the time");
    watched.commit();
    await eventually(() => watched.told() === 4);
  },
});

Deno.test("CommitWatch leaves nothing open, and tells nobody, once it is stopped", async () => {
  for (const quietMs of [0, QUIET_MS + 20]) {
    await using watched = watchLog();
    advance(watched.clock, quietMs);
    watched.stop();
    const looks = watched.looks();
    watched.commit();
    advance(watched.clock, 2_000);
    assertEquals([watched.told(), watched.looks()], [0, looks]);
  }
});
