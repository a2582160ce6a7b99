import { writeAtomically } from "./atomic_file.ts";
import type { Office } from "./office.ts";

/** Somebody who is about to join. */
export interface Person {
  readonly name: string;
  readonly role: string;
}

/** The record of an employee. */
export interface EmployeeRecord extends Person {
  /** Such as `"E0001"`; the next free one. */
  readonly employee: string;
}

/**
 * Creates an employee's record: the number is taken in the ledger, the record lies in `records/`. The ledger leads, so
 * the file is written again on each call, with the same content.
 *
 * @param key the idempotency key: a second call with it gives the same record, and takes no second number
 */
export async function createRecord(office: Office, person: Person, key: string): Promise<EmployeeRecord> {
  const record = await office.ledger.once(key, "record", (earlier): EmployeeRecord => {
    const taken = earlier.filter((entry) => entry.kind === "record").length;
    return { employee: `E${String(taken + 1).padStart(4, "0")}`, name: person.name, role: person.role };
  });
  await writeAtomically(
    `${office.folder}/records/${record.employee}.json`,
    JSON.stringify(record, null, 2) + "\n",
  );
  return record;
}
