import type { EngineEvent } from "../mod.ts";
import { describeError } from "./describe_error.ts";
import { formatDuration, formatMoment } from "./format_time.ts";
import { LiveRegion } from "./live_region.ts";
import { logText } from "./log_text.ts";
import type { Output } from "./output.ts";
import { type Paint, type Palette, palette } from "./paint.ts";
import { leavingOut, printableCell, printableLine, printableText } from "./printable.ts";

/** A step that is running, or waits for its next attempt. */
interface Underway {
  readonly attempt: number;
  /** When its attempt began, or when the next one is due. */
  readonly at: number;
  readonly retrying: boolean;
}

/** How much of a text is shown that quotes others. */
const MAX_SAID_LENGTH = 10_000;
/** How often the spinner turns. */
const FRAME_MS = 100;
const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/**
 * Shows an execution to people while it happens, a line a step: on a terminal with colours, and with the steps that
 * are under way below, a spinner before each; elsewhere as plain lines, where a step that starts has its own line. Steps
 * of other workflows than the first, which are its children, are shown with the id of theirs.
 *
 * Owns the steps that are under way, those that were shown, and the timer that redraws the lines; the timer does not
 * keep the process alive.
 */
export class Progress {
  readonly #output: Output;
  readonly #region: LiveRegion;
  readonly #colours: Palette;
  readonly #underway = new Map<string, Underway>();
  /** The steps whose end was shown: a workflow that comes back from waiting replays them. */
  readonly #shown = new Set<string>();
  /** The workflow that was started first. */
  #first: string | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #frame = 0;
  #keyWidth = 28;

  constructor(output: Output) {
    this.#output = output;
    this.#region = new LiveRegion(output);
    this.#colours = palette(output.colour);
  }

  observe(event: EngineEvent): void {
    const { good, bad, warning, stored, busy, faint } = this.#colours;
    const whose = this.#whose(event);
    switch (event.type) {
      case "started": {
        const name = `"${printableCell(event.workflowId)}"`;
        const { recovered } = event;
        return this.#line(busy, "›", "started", `${name}${recovered ? ", whose last run is gone" : ""}`);
      }
      case "waiting": {
        const until = event.until === undefined ? "a message" : formatMoment(event.until);
        return this.#line(faint, "…", "waiting", `"${printableCell(event.workflowId)}", until ${until}`);
      }
      case "replayed": {
        if (this.#shown.has(whose + event.key)) return;
        this.#shown.add(whose + event.key);
        const outcome = event.status === "failed" ? ", its error" : "";
        return this.#step(
          stored,
          "↺",
          "replayed",
          whose + event.key,
          event.attempt,
          formatDuration(event.durationMs) + outcome,
        );
      }
      case "stepStarted":
        this.#begin(whose + event.key, { attempt: event.attempt, at: performance.now(), retrying: false });
        if (!this.#output.isTerminal) this.#step(busy, "›", "running", whose + event.key, event.attempt);
        return;
      case "stepCompleted": {
        const time = formatDuration(event.durationMs);
        return this.#step(good, "✓", "completed", this.#ended(whose + event.key), event.attempt, time);
      }
      case "stepFailed": {
        const detail = `${formatDuration(event.durationMs)}  ${describeError(event.error)}`;
        return this.#step(bad, "✗", "failed", this.#ended(whose + event.key), event.attempt, detail);
      }
      case "stepRetried": {
        const waitMs = Math.max(0, event.nextAttemptAt.getTime() - event.at.getTime());
        this.#begin(whose + event.key, {
          attempt: event.attempt + 1,
          at: performance.now() + waitMs,
          retrying: true,
        });
        const detail = `of ${event.maxAttempts}, the next in ${formatDuration(waitMs)}  ${
          describeError(event.error)
        }`;
        return this.#step(warning, "⟳", "retrying", whose + event.key, event.attempt, detail);
      }
      case "stepAbandoned":
        return this.#step(warning, "!", "abandoned", this.#ended(whose + event.key), event.attempt);
      case "contextMisused":
        return this.#line(warning, "!", "misused", describeError(event.error));
      case "log": {
        const paint = event.level === "error" ? bad : event.level === "warn" ? warning : faint;
        return this.#line(paint, "·", event.level, printableLine(whose + logText(event)));
      }
    }
  }

  /** What goes before the steps of a workflow: nothing for the first. */
  #whose({ workflowId }: EngineEvent): string {
    this.#first ??= workflowId;
    return workflowId === this.#first ? "" : `${workflowId}  `;
  }

  /** Notes that a step has ended. @returns its name */
  #ended(name: string): string {
    this.#underway.delete(name);
    this.#shown.add(name);
    return name;
  }

  /** A line among those of the steps. */
  say(text: string): void {
    this.#region.print(
      printableText(leavingOut(text, MAX_SAID_LENGTH)),
      this.#region.isDrawn ? this.#underwayLines() : [],
    );
  }

  /** Stops drawing; what is still under way is no longer shown. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#underway.clear();
    this.#region.show([]);
  }

  #step(paint: Paint, sign: string, state: string, key: string, attempt: number, detail = ""): void {
    const name = printableCell(key);
    this.#keyWidth = Math.max(this.#keyWidth, name.length);
    this.#line(
      paint,
      sign,
      state,
      `${name.padEnd(this.#keyWidth)}  attempt ${printableCell(attempt)}  ${detail}`.trimEnd(),
    );
  }

  #line(paint: Paint, sign: string, state: string, text: string): void {
    // A step that is quick is not drawn at all: drawing begins with the timer.
    const below = this.#region.isDrawn ? this.#underwayLines() : [];
    this.#region.print(`${this.#state(paint, sign, state)}  ${text}`, below);
  }

  #state(paint: Paint, sign: string, state: string): string {
    return paint((this.#output.isTerminal ? `${sign} ` : "") + state.padEnd(9));
  }

  #begin(key: string, underway: Underway): void {
    this.#underway.set(key, underway);
    if (!this.#output.isTerminal || this.#timer !== undefined) return;
    this.#timer = setInterval(() => this.#draw(), FRAME_MS);
    Deno.unrefTimer(this.#timer);
  }

  #draw(): void {
    this.#frame++;
    this.#region.show(this.#underwayLines());
  }

  #underwayLines(): string[] {
    const sign = FRAMES[this.#frame % FRAMES.length]!;
    const { busy, warning } = this.#colours;
    return Array.from(this.#underway, ([key, { attempt, at, retrying }]) => {
      const state = retrying ? this.#state(warning, sign, "retrying") : this.#state(busy, sign, "running");
      const now = performance.now();
      const time = retrying ? `in ${formatDuration(Math.max(0, at - now))}` : formatDuration(now - at);
      return `${state}  ${printableCell(key).padEnd(this.#keyWidth)}  attempt ${
        printableCell(attempt)
      }  ${time}`;
    });
  }
}
