import { assert, assertEquals } from "@std/assert";
import type { QueueLimits } from "../../engine/store/queue_statements.ts";
import { Queues } from "../../engine/store/queues.ts";
import { testEachDriver } from "./each_driver.ts";

const limits: QueueLimits = {
  concurrency: 2,
  executorConcurrency: null,
  partitionConcurrency: 3,
  rate: { limit: 1, periodMs: 1_000 },
  maxDepth: 10,
  ageingMs: 1_000,
};

testEachDriver(
  "define() writes limits that are new, and nothing where they are stored",
  async ({ open, connect }) => {
    const queues = new Queues(await open());
    // What a connection sees of the commits of others.
    const other = connect();
    const version = () => other.all("PRAGMA data_version", [])[0]!.data_version;
    assert(await queues.define("q", limits));
    const first = version();
    assert(await queues.define("q", { ...limits, rate: { limit: 1, periodMs: 1_000 } }));
    assertEquals(version(), first);
    const changes: Partial<QueueLimits>[] = [
      { concurrency: null },
      { executorConcurrency: 1 },
      { partitionConcurrency: 4 },
      { rate: null },
      { rate: { limit: 1, periodMs: 2_000 } },
      { maxDepth: 11 },
      { ageingMs: 2_000 },
    ];
    for (const change of changes) {
      const before = version();
      assert(await queues.define("q", { ...limits, ...change }));
      assert(version() !== before, JSON.stringify(change));
      const { concurrency, executorConcurrency, partitionConcurrency, rate, maxDepth, ageingMs } =
        (await queues.find("q"))!;
      assertEquals(
        { concurrency, executorConcurrency, partitionConcurrency, rate, maxDepth, ageingMs },
        { ...limits, ...change },
      );
      await queues.define("q", limits);
    }
  },
);
