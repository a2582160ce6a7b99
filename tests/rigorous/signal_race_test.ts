import { assertEquals } from "@std/assert";
import { delay } from "@std/async";
import { Engine } from "@stepwell/stepwell";
import { startChild } from "../child_process.ts";
import { openMortal } from "../mortal_database.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";
import { RIGOROUS } from "../effort.ts";
import { chance, integer, oneOf, withSeeds } from "./seed.ts";
import { taker } from "./taker.ts";

const WORKER = import.meta.resolve("./signal_worker.ts");
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

Deno.test("signals that are sent while another process begins to wait are never lost", () =>
  withSeeds(RIGOROUS ? 10 : 1, async (random) => {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    const [workflows, count] = [20, 60];
    await using engine = await Engine.open(file, { durability: "normal" });
    await using worker = startChild(WORKER, file, String(workflows), String(count));
    await worker.line("ready");
    for (let n = 0; n < count; n++) {
      await Promise.all(
        numbers(workflows).map(async (i) => {
          if (chance(random, 0.3)) await delay(integer(random, 0, 3));
          await engine.signal(`t-${i}`, "s", n);
        }),
      );
    }
    await worker.line("ended");
    for (const i of numbers(workflows)) {
      assertEquals(JSON.parse(await worker.line(`taken ${i} `)), numbers(count));
    }
    assertEquals((await worker.ended()).stderr, "");
  }));

Deno.test("signals are neither lost nor doubled by real processes that are killed at random", () =>
  withSeeds(RIGOROUS ? 10 : 1, async (random) => {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    const [workflows, count] = [10, 60];
    const args = [file, String(workflows), String(count)];
    await using engine = await Engine.open(file, { durability: "normal" });
    let sending = true;
    const sent = (async () => {
      for (let n = 0; n < count; n++) {
        for (const i of numbers(workflows)) {
          // Who does not know whether it was sent sends it again.
          const times = chance(random, 0.2) ? 2 : 1;
          for (let time = 0; time < times; time++) {
            await engine.signal(`t-${i}`, "s", n, { idempotencyKey: `k-${n}` });
          }
        }
        await delay(integer(random, 0, 20));
      }
      sending = false;
    })();
    while (sending) {
      await using worker = startChild(WORKER, ...args);
      await worker.line("ready").catch(() => {});
      await delay(integer(random, 20, 300));
      worker.kill("SIGKILL");
      await worker.ended();
    }
    await sent;
    await using worker = startChild(WORKER, ...args);
    await worker.line("ended");
    for (const i of numbers(workflows)) {
      assertEquals(JSON.parse(await worker.line(`taken ${i} `)), numbers(count));
    }
  }));

Deno.test("thousands of signals are taken once each, in their order, whatever writes their process dies at", () =>
  withSeeds(RIGOROUS ? 5 : 2, async (random) => {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    const [one, workflows, many] = RIGOROUS ? [10_000, 10_000, 1] : [1_000, 30, 40];
    const inputs = [one, ...Array.from({ length: workflows }, () => many)];
    await using sender = await Engine.open(file, { durability: "normal" });
    await Promise.all(
      inputs.map(async (count, i) => {
        for (const n of numbers(count)) {
          await sender.signal(`t-${i}`, "s", n);
          if (chance(random, 0.05)) await delay(integer(random, 0, 5));
        }
      }).concat(live()),
    );

    async function live(): Promise<void> {
      for (let deaths = integer(random, 3, 8); deaths >= 0; deaths--) {
        const death = { write: integer(random, 1, 300), when: oneOf(random, ["before", "after"] as const) };
        // Ten thousand replays of up to ten thousand signals would take minutes.
        const options = { durability: "normal", ...RIGOROUS && { alwaysReplay: false } } as const;
        const mortal = await openMortal(file, options, deaths > 0 ? death : undefined);
        const ended = Promise.all(
          inputs.map((input, i) => mortal.engine.run(taker, { id: `t-${i}`, input })),
        );
        ended.catch(() => {});
        const outputs = await Promise.race([ended, mortal.died]);
        if (outputs === undefined) continue;
        await mortal.engine.close();
        assertEquals(outputs, inputs.map(numbers));
        return;
      }
    }
    assertEquals(query(file, "SELECT count(*) AS kept FROM messages WHERE consumed IS NULL"), [{ kept: 0 }]);
  }));
