/**
 * Moves money from one account to another in a process that is killed inside of the transaction, again in one that is killed
 * right after it, and again in one that is not killed: it is moved once. Everything is in a temporary folder.
 *
 * ```sh
 * deno run --allow-read --allow-write --allow-run examples/transfer/demo.ts
 * ```
 *
 * @module
 */
import { books, openBank } from "./bank.ts";

const TELLER = import.meta.resolve("./teller.ts");

if (import.meta.main) {
  const folder = await Deno.makeTempDir({ prefix: "stepwell-transfer-" });
  try {
    for (const place of ["inside", "after", "nowhere"]) await transfer(`${folder}/bank.db`, place);
    await using engine = await openBank(`${folder}/bank.db`);
    const receipt = await engine.resume<string>("transfer-1/receipt");
    console.log(`receipt: ${await receipt.result()}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Has a process make the transfer that is killed at a place in it. */
async function transfer(file: string, place: string): Promise<void> {
  const { signal } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--allow-read",
      "--allow-write",
      "--allow-run",
      TELLER,
      file,
      place,
    ],
    stderr: "inherit",
  }).output();
  await using engine = await openBank(file);
  console.log(`killed ${place} (${signal ?? "no signal"}): ${await books(engine)}`);
}
