/**
 * Random shapes of workflows: nested branches that share the ids of their steps, so that which branch gets which key
 * depends on nothing but the order of what they see.
 *
 * @module
 */

import type { SeededRandom } from "../../engine/random.ts";
import { chance, integer, oneOf } from "./seed.ts";

/** A step, and what its function does. */
export interface StepShape {
  readonly kind: "step";
  readonly id: string;
  /** How long an attempt takes; 0 for one that does not wait at all. */
  readonly delayMs: number;
  /** How many attempts fail before one succeeds. */
  readonly failures: number;
  readonly maxAttempts: number;
  readonly atMostOnce: boolean;
  /** Whether it ends early when its signal is aborted. */
  readonly listens: boolean;
  readonly timeoutMs: number | undefined;
}

/** A part of a workflow. */
export type Shape =
  | StepShape
  | { readonly kind: "sequence"; readonly parts: readonly Shape[] }
  /** Branches: by `ctx.all`, or by one of Promise's own functions. */
  | {
    readonly kind: "branches";
    readonly by: "ctx.all" | "all" | "race" | "allSettled" | "any";
    readonly branches: readonly Shape[];
    readonly concurrency: number | undefined;
  }
  | { readonly kind: "loop"; readonly times: number; readonly body: Shape }
  /** One of two, by the last result that this branch has seen. */
  | { readonly kind: "choice"; readonly ifEven: Shape; readonly ifOdd: Shape }
  /** What it throws is caught. */
  | { readonly kind: "caught"; readonly body: Shape }
  /** A step that is begun before something else, and awaited after it. */
  | { readonly kind: "early"; readonly step: StepShape; readonly meanwhile: Shape }
  /** The time, a number and an id by the workflow's own account. */
  | { readonly kind: "draw" }
  /** Some turns of the microtask queue. */
  | { readonly kind: "microtasks"; readonly count: number };

/** How deep parts are nested. */
const MAX_DEPTH = 4;

/** A random workflow. */
export function randomShape(random: SeededRandom): Shape {
  const parts = Array.from({ length: integer(random, 1, 3) }, () => part(random, 1));
  const shape: Shape = { kind: "sequence", parts: [...parts, branches(random, 1)] };
  return chance(random, 0.8) ? { kind: "caught", body: shape } : shape;
}

/** How many steps a shape asks for, at most and about. */
export function stepsOf(shape: Shape): number {
  switch (shape.kind) {
    case "step":
      return 1;
    case "sequence":
      return sum(shape.parts);
    case "branches":
      return sum(shape.branches);
    case "loop":
      return shape.times * stepsOf(shape.body);
    case "choice":
      return Math.max(stepsOf(shape.ifEven), stepsOf(shape.ifOdd));
    case "caught":
      return stepsOf(shape.body);
    case "early":
      return 1 + stepsOf(shape.meanwhile);
    case "draw":
    case "microtasks":
      return 0;
  }
}

function sum(shapes: readonly Shape[]): number {
  return shapes.reduce((total, shape) => total + stepsOf(shape), 0);
}

function part(random: SeededRandom, depth: number): Shape {
  if (depth >= MAX_DEPTH) return step(random);
  const inner = () => part(random, depth + 1);
  const draw = integer(random, 0, 99);
  if (draw < 30) return step(random);
  if (draw < 55) return branches(random, depth);
  if (draw < 67) return { kind: "loop", times: integer(random, 2, 3), body: inner() };
  if (draw < 75) return { kind: "choice", ifEven: inner(), ifOdd: inner() };
  if (draw < 83) return { kind: "caught", body: inner() };
  if (draw < 89) return { kind: "early", step: step(random), meanwhile: inner() };
  if (draw < 95) return { kind: "sequence", parts: [inner(), inner()] };
  if (draw < 98) return { kind: "draw" };
  return { kind: "microtasks", count: integer(random, 1, 5) };
}

function branches(random: SeededRandom, depth: number): Shape {
  return {
    kind: "branches",
    by: oneOf(random, ["ctx.all", "ctx.all", "all", "all", "race", "allSettled", "any"]),
    branches: Array.from({ length: integer(random, 2, 4) }, () => part(random, depth + 1)),
    concurrency: chance(random, 0.2) ? integer(random, 1, 2) : undefined,
  };
}

function step(random: SeededRandom): StepShape {
  const slow = chance(random, 0.05);
  const atMostOnce = chance(random, 0.05);
  const maxAttempts = atMostOnce ? 1 : integer(random, 1, 3);
  return {
    kind: "step",
    id: oneOf(random, ["a", "b", "c"]),
    delayMs: slow ? 12 : chance(random, 0.4) ? 0 : integer(random, 1, 4),
    failures: chance(random, 0.2) ? integer(random, 1, 3) : 0,
    maxAttempts,
    atMostOnce,
    listens: chance(random, 0.5),
    timeoutMs: slow ? 4 : undefined,
  };
}
