/**
 * Standard Schema, version 1: what validation libraries such as Zod, Valibot and ArkType have in common. Its types are
 * copied from https://standardschema.dev (`@standard-schema/spec` 1.1.0, MIT licence), as it asks for, so that nothing
 * has to be downloaded for them.
 *
 * @module
 */

/** A schema of any library that speaks Standard Schema. */
export interface StandardSchema<Input = unknown, Output = Input> {
  /** What all of them have in common. */
  readonly "~standard": StandardSchemaProps<Input, Output>;
}

/** What all schemas have in common. */
export interface StandardSchemaProps<Input = unknown, Output = Input> {
  /** Of the standard. */
  readonly version: 1;
  /** The library. */
  readonly vendor: string;
  /** Tells what a value is, or what is wrong with it. */
  readonly validate: (
    value: unknown,
  ) => StandardSchemaResult<Output> | Promise<StandardSchemaResult<Output>>;
  /** For TypeScript alone. */
  readonly types?: StandardSchemaTypes<Input, Output> | undefined;
}

/** What a schema makes of a value. */
export type StandardSchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardSchemaIssue[] };

/** Something that is wrong with a value. */
export interface StandardSchemaIssue {
  /** What is wrong. */
  readonly message: string;
  /** Where in the value. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** The types of a schema. */
export interface StandardSchemaTypes<Input = unknown, Output = Input> {
  /** Of what it takes. */
  readonly input: Input;
  /** Of what it makes of that. */
  readonly output: Output;
}

/** The type of what a schema takes. */
export type SchemaInput<Schema extends StandardSchema> = NonNullable<
  Schema["~standard"]["types"]
>["input"];

/** The type of what a schema makes of that. */
export type SchemaOutput<Schema extends StandardSchema> = NonNullable<
  Schema["~standard"]["types"]
>["output"];

/** Whether a value is a schema: a function, with some libraries. */
export function isSchema(value: unknown): value is StandardSchema {
  if ((typeof value !== "object" || value === null) && typeof value !== "function") return false;
  try {
    return typeof (value as Partial<StandardSchema>)["~standard"]?.validate === "function";
  } catch {
    return false;
  }
}
