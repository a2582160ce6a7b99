/** Tells the parent process, at once, that it has come so far. */
export function tell(): void {
  Deno.stdout.writeSync(new TextEncoder().encode("\n"));
}
