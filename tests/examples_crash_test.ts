/** Holds the workflows of the examples to what the examples are there to show: that a crash makes no difference. */
import { assertSurvivesCrashes } from "@stepwell/stepwell/testing";
import { assertEquals } from "@std/assert";
import { agent } from "../examples/agent.ts";
import { decided, expense } from "../examples/approval.ts";
import { album, resize } from "../examples/fan_out.ts";
import { onboardingAt } from "../examples/onboarding/mod.ts";
import { officeIn } from "../examples/onboarding/office.ts";
import { ledger, order } from "../examples/order_saga.ts";
import { books, openAccounts, receipt, transferWorkflow } from "../examples/transfer/bank.ts";
import { forecast, weather } from "../examples/sleep_and_retry.ts";
import { temporaryFolder } from "./temporary_folder.ts";

Deno.test("examples/agent.ts comes to the same end wherever it crashes", async () => {
  const { ending } = await assertSurvivesCrashes(agent, { input: "How many lamps have you got?" });
  assertEquals(ending.outputJson, '"We have 4 lamps at 29 euros each"');
});

Deno.test("examples/approval.ts comes to the same end wherever it crashes", async () => {
  const { log } = console;
  console.log = () => {};
  try {
    const { ending } = await assertSurvivesCrashes(expense, {
      id: "expense-7",
      input: 120,
      drive: (engine, id) =>
        engine.signal(id, decided, { by: "Ada", yes: true }, { idempotencyKey: "click-1" }),
      faults: [{ repeat: decided }],
    });
    assertEquals(ending.outputJson, '"paid 120 euros as expense-7/pay#000001"');
  } finally {
    console.log = log;
  }
});

Deno.test("examples/fan_out.ts comes to the same end wherever it crashes", async () => {
  const { ending } = await assertSurvivesCrashes(album, {
    workflows: [resize],
    input: ["1.png", "notes.txt", "2.png"],
  });
  assertEquals(ending.outputJson, '{"done":2,"refused":["TypeError: notes.txt is no picture"]}');
});

Deno.test("examples/order_saga.ts undoes what it has done wherever it crashes", async () => {
  const { ending } = await assertSurvivesCrashes(order, {
    id: "order-17",
    input: { sku: "A1", card: "tok" },
    prepare: () => void ledger.splice(0),
    // Its services do a thing again that they are asked for again.
    observe: () => [...new Set(ledger)],
  });
  assertEquals([ending.status, ending.error?.message], ["failed", "A1 was damaged in the warehouse"]);
});

Deno.test("examples/sleep_and_retry.ts comes to the same end wherever it crashes", async () => {
  const { ending } = await assertSurvivesCrashes(forecast, {
    input: "Bergen",
    // The service is up; what fails is planned, and so the same in every run.
    prepare: () => void (weather.calls = 2),
    faults: [{ fail: "fetch", times: 2 }],
  });
  assertEquals(ending.outputJson, '{"report":"It is raining in Bergen (attempt 3)","waited":true}');
});

Deno.test("examples/onboarding/ has each effect once wherever it crashes", async () => {
  await using folder = temporaryFolder();
  const office = officeIn(folder.file("office"));
  const report = await assertSurvivesCrashes(onboardingAt(office), {
    id: "emp",
    prepare: () => Deno.remove(office.folder, { recursive: true }).catch(ignoreMissing),
    observe: async () =>
      (await office.ledger.entries()).map(({ key, result }) => ({ key, result })).sort(byKey),
  });
  assertEquals(report.ending.status, "completed");
});

Deno.test("examples/transfer/ moves the money once, and tells of it once, wherever it crashes", async () => {
  const { repeated } = await assertSurvivesCrashes(transferWorkflow(), {
    workflows: [receipt],
    input: { from: "ada", to: "grace", cents: 30 },
    prepare: openAccounts,
    observe: books,
  });
  assertEquals(repeated.map(({ key }) => key).sort(), ["after#000001", "move#000001"]);
});

function byKey(a: { key: string }, b: { key: string }): number {
  return a.key < b.key ? -1 : 1;
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
