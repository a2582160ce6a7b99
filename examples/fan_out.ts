/**
 * One workflow that starts many: each child has its own id and history, is started once, and runs whatever becomes of the
 * process meanwhile. One that fails does not keep the others.
 *
 * `deno run --allow-read --allow-write examples/fan_out.ts [FILE]`
 *
 * @module
 */
import { Engine, workflow } from "@stepwell/stepwell";

export const resize = workflow("resize", async (ctx, image: string) => {
  if (image.endsWith(".txt")) throw new TypeError(`${image} is no picture`);
  const small = await ctx.step("small", () => `${image} at 100 px`);
  await ctx.step("store", () => {});
  return small;
});

export const album = workflow("album", async (ctx, images: readonly string[]) => {
  const results = await Promise.allSettled(
    images.map((image) => ctx.child(resize, { id: `${ctx.workflowId}/${image}`, input: image })),
  );
  return {
    done: results.filter(({ status }) => status === "fulfilled").length,
    refused: results.flatMap((result) => result.status === "rejected" ? String(result.reason) : []),
  };
});

if (import.meta.main) {
  const images = [...Array.from({ length: 98 }, (_, i) => `${i}.png`), "notes.txt", "last.png"];
  await using engine = await Engine.open(Deno.args[0] ?? ":memory:", { workflows: [album, resize] });
  console.log(await engine.run(album, { id: "holiday", input: images }));
  console.log((await engine.get("holiday/last.png"))?.output);
}
