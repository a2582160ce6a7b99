import { assertEquals, assertStringIncludes } from "@std/assert";
import { type Ending, endingKind, exitStatusOf } from "../../cli/ending.ts";
import { endingLines } from "../../cli/ending_lines.ts";
import { palette } from "../../cli/paint.ts";
import {
  CorruptCheckpointError,
  EngineClosedError,
  LeaseLostError,
  StoreBusyError,
  WorkflowBusyError,
} from "../../mod.ts";

const ERRORS: readonly { error: unknown; kind: Ending["kind"]; status: number; says: string }[] = [
  {
    error: new WorkflowBusyError("w", "r_1", new Date("2026-01-31T12:00:00Z")),
    kind: "busy",
    status: 3,
    says: "Its owner's lease ends at 2026-01-31 12:00:00Z",
  },
  {
    error: new LeaseLostError("w", "r_1", "record a step"),
    kind: "busy",
    status: 3,
    says: "has passed to another run",
  },
  { error: new EngineClosedError("closed"), kind: "interrupted", status: 130, says: "stepwell resume w" },
  { error: new StoreBusyError("locked"), kind: "stopped", status: 1, says: "stepwell resume w" },
  {
    error: new CorruptCheckpointError("f", "w", "a#000001", "x"),
    kind: "blocked",
    status: 1,
    says: "from a backup",
  },
  { error: new TypeError("no"), kind: "failed", status: 1, says: "stepwell retry w" },
  { error: "just text", kind: "failed", status: 1, says: "just text" },
];

for (const { error, kind, status, says } of ERRORS) {
  Deno.test(`a run that ends with ${error instanceof Error ? error.name : "a text"} is ${kind}`, () => {
    assertEquals(endingKind(error, undefined), kind);
    const ending: Ending = { kind, id: "w", error, elapsedMs: 1 };
    assertEquals(exitStatusOf(ending), status);
    const whereabouts = { location: "stepwell.db", modules: [] };
    assertStringIncludes(endingLines(ending, [], { whereabouts, colours: palette(false) }).join("\n"), says);
  });
}
