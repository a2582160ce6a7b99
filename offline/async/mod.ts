/**
 * The asynchronous helpers that the project uses, for a checkout where JSR cannot be reached: they stand in for the
 * package of the same name.
 *
 * @module
 */
export * from "./deadline.ts";
export * from "./delay.ts";
export * from "./pool.ts";
