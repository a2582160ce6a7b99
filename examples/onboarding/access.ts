import type { Office } from "./office.ts";
import type { EmployeeRecord } from "./records.ts";

/** The accounts of an employee. */
export interface Access {
  readonly employee: string;
  /** Such as `["mail:ada.lovelace", "vpn:E0001"]`. */
  readonly accounts: readonly string[];
}

/**
 * Opens an employee's accounts.
 *
 * @param key the idempotency key: a second call with it opens nothing, and gives the accounts of the first
 */
export function provisionAccess(office: Office, record: EmployeeRecord, key: string): Promise<Access> {
  const mailbox = record.name.toLowerCase().split(/[^\p{L}\p{N}]+/u).filter((part) => part !== "").join(".");
  return office.ledger.once(key, "access", (): Access => ({
    employee: record.employee,
    accounts: [`mail:${mailbox}`, `vpn:${record.employee}`],
  }));
}
