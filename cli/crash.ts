import type { EngineEvent } from "../mod.ts";
import type { CrashPoint } from "./crash_point.ts";
import { printableCell } from "./printable.ts";
import { prepareSelfKill } from "./self_kill.ts";

/** Watches an engine's events and kills this process when a crash point is reached: at that very instant. */
export class Crash {
  readonly #point: CrashPoint;
  readonly #kill: () => void;
  readonly #announce: (point: CrashPoint) => void;
  #replayed = false;

  /**
   * @param announce is told just before the process dies
   * @throws {UsageError} if this process may not kill itself
   */
  constructor(point: CrashPoint, announce: (point: CrashPoint) => void) {
    this.#point = point;
    this.#kill = prepareSelfKill();
    this.#announce = announce;
  }

  observe(event: EngineEvent): void {
    if (!("key" in event) || event.key !== this.#point.stepKey) return;
    if (event.type === "replayed") this.#replayed = true;
    if (!isAt(event, this.#point)) return;
    this.#announce(this.#point);
    this.#kill();
  }

  /** Says, at the end, why this process is still there. */
  notReached(): string {
    const { text, stepKey, moment } = this.#point;
    const reason = this.#replayed
      ? `step "${stepKey}" was replayed`
      : `step "${stepKey}" did not get there (${MEANING[moment]})`;
    return printableCell(`Crash point "${text}" was never reached: ${reason}`);
  }
}

const MEANING = {
  before: "its function about to run",
  during: "its function has returned",
  after: "its checkpoint committed",
} as const;

/** A step that has failed for good has a checkpoint too. */
function isAt(event: EngineEvent, { moment }: CrashPoint): boolean {
  if (moment === "before") return event.type === "stepStarted";
  if (moment === "during") return event.type === "stepReturned";
  return event.type === "stepCompleted" || event.type === "stepFailed";
}
