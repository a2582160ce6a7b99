/**
 * Does one kind of work again and again, so that a profiler has something to look at; see README.md.
 *
 * `deno run -A --cpu-prof --cpu-prof-md bench/profile.ts sequential|many|fan-out|replay [--seconds N] [--heap-snapshot FILE]`
 *
 * @module
 */
import { delay } from "@std/async";
import { parseArgs } from "@std/cli/parse-args";
import { writeHeapSnapshot } from "node:v8";
import { Engine, type Workflow, workflow } from "@stepwell/stepwell";
import { temporaryFolder } from "../tests/temporary_folder.ts";
import { fanOut, quickStep, sequence } from "./workloads.ts";

/** Does the work once. */
type Work = (file: string) => Promise<unknown>;

/** How long the snapshot waits for the work to be under way, in milliseconds. */
const UNDER_WAY_MS = 10;

const WORKS: Readonly<Record<string, Work>> = {
  "sequential": withEngine((engine) => engine.run(sequence, { input: 1_000 })),
  "many": withEngine((engine) =>
    Promise.all(Array.from({ length: 500 }, () => engine.run(sequence, { input: 5 })))
  ),
  "fan-out": withEngine((engine) => engine.run(fanOut, { input: 200 })),
  "replay": withEngine(async (engine) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const handle = await engine.start(unfinished(10_000, resolve), { id: "unfinished" });
    handle.result().catch(() => {});
    await promise;
  }, "normal"),
};

if (import.meta.main) await main();

async function main(): Promise<void> {
  const { _: [name = ""], seconds, "heap-snapshot": snapshot } = parseArgs(Deno.args, {
    string: ["seconds", "heap-snapshot"],
    default: { seconds: "10" },
  });
  const work = Object.hasOwn(WORKS, name) ? WORKS[name] : undefined;
  if (work === undefined || !(Number(seconds) > 0)) {
    console.error(
      `Usage: bench/profile.ts ${Object.keys(WORKS).join("|")} [--seconds N] [--heap-snapshot FILE]`,
    );
    Deno.exit(2);
  }
  await using folder = temporaryFolder();
  const file = folder.file("profile.db");
  let times = 0;
  for (const end = performance.now() + Number(seconds) * 1_000; performance.now() < end; times++) {
    await work(file);
  }
  console.log(`${name}: ${times} times`);
  if (snapshot === undefined) return;
  const last = work(file);
  await delay(UNDER_WAY_MS);
  console.log(writeHeapSnapshot(snapshot));
  await last;
}

function withEngine(act: (engine: Engine) => Promise<unknown>, durability: "full" | "normal" = "full"): Work {
  return async (file) => {
    await using engine = await Engine.open(file, { durability });
    await act(engine);
  };
}

/** A workflow that has so many steps, and waits behind them for what is never there: it can be resumed again and again. */
function unfinished(steps: number, reached: () => void): Workflow<void, void> {
  return workflow("unfinished", async (ctx) => {
    for (let i = 0; i < steps; i++) await quickStep(ctx);
    reached();
    await new Promise(() => {});
  });
}
