/**
 * The parser of command lines that the project uses, for a checkout where JSR cannot be reached: it stands in for the
 * package of the same name.
 *
 * @module
 */
export * from "./parse_args.ts";
