/**
 * Puts the sample workflows into a folder outside the project, where a user has them.
 *
 * @param name a file of `tests/cli/modules/`
 * @returns the module's path in the folder
 */
export async function copyModule(name: string, folder: string): Promise<string> {
  await Deno.copyFile(new URL(`./modules/${name}`, import.meta.url), `${folder}/${name}`);
  return name;
}
