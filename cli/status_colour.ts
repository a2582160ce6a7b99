import type { Paint, Palette } from "./paint.ts";

/** The colour of a status of a workflow or a step. */
export function statusColour(status: string, colours: Palette): Paint {
  switch (status) {
    case "completed":
      return colours.good;
    case "failed":
    case "blocked":
    case "cancelled":
      return colours.bad;
    default:
      return colours.busy;
  }
}
