/** A program that does nothing: what is left is Deno's own start. */
export {};
