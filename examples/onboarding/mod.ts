/**
 * Onboarding of an employee: a workflow of four steps, two of them in parallel, on services that keep their files in
 * a folder and have each effect once per idempotency key, whatever happens to the process.
 *
 * @module
 */
export * from "./access.ts";
export * from "./laptops.ts";
export * from "./ledger.ts";
export * from "./mail.ts";
export * from "./office.ts";
export * from "./records.ts";
export * from "./workflow.ts";
