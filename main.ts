#!/usr/bin/env -S deno run --allow-read --allow-write --allow-run=kill
/**
 * The executable: hands its arguments to `cli/`, and ends with its exit status.
 *
 * @module
 */
import { main } from "./cli/main.ts";

if (import.meta.main) Deno.exit(await main(Deno.args));
