import type { EngineOptions } from "../mod.ts";
import { type CrashPoint, parseCrashPoint } from "./crash_point.ts";
import { DEFAULT_DATABASE } from "./database.ts";
import { parseDuration } from "./duration_flag.ts";
import type { Invocation } from "./invocation.ts";

/** What the flags of `run`, `resume` and `retry` say about how a workflow is executed. */
export interface ExecutionFlags {
  readonly location: string;
  readonly modules: readonly string[];
  readonly crashPoint?: CrashPoint;
  readonly json: boolean;
  readonly engine: Pick<EngineOptions, "durability" | "sqlite" | "zombieTimeout">;
}

/** @throws {UsageError} if a value cannot be used */
export function readExecutionFlags(flags: Invocation["flags"]): ExecutionFlags {
  const crash = flags.get("crash")?.[0];
  const zombieTimeout = flags.get("zombie-timeout")?.[0];
  return {
    location: locationOf(flags),
    modules: flags.get("module") ?? [],
    crashPoint: crash === undefined ? undefined : parseCrashPoint(crash),
    json: flags.has("json"),
    engine: {
      durability: flags.get("durability")?.[0] as EngineOptions["durability"],
      sqlite: sqliteOf(flags),
      zombieTimeout: zombieTimeout === undefined ? undefined : parseDuration("zombie-timeout", zombieTimeout),
    },
  };
}

/** Where the database is. */
export function locationOf(flags: Invocation["flags"]): string {
  return flags.get("db")?.[0] ?? DEFAULT_DATABASE;
}

/** The driver that is asked for. */
export function sqliteOf(flags: Invocation["flags"]): EngineOptions["sqlite"] {
  return flags.get("sqlite")?.[0] as EngineOptions["sqlite"];
}
