import type { Office } from "./office.ts";
import type { EmployeeRecord } from "./records.ts";

/** A laptop that has been handed out. */
export interface Laptop {
  /** Such as `"LT-0001"`; the next one in stock. */
  readonly serial: string;
  /** Whose it is. */
  readonly employee: string;
}

/**
 * Takes the next laptop from the stock.
 *
 * @param key the idempotency key: a second call with it gives the same laptop, and takes no second one
 */
export function provisionLaptop(office: Office, record: EmployeeRecord, key: string): Promise<Laptop> {
  return office.ledger.once(key, "laptop", (earlier): Laptop => {
    const taken = earlier.filter((entry) => entry.kind === "laptop").length;
    return { serial: `LT-${String(taken + 1).padStart(4, "0")}`, employee: record.employee };
  });
}
