/**
 * An agent: a model says which tool to call, the tool is called, and the model is told what came of it, until it has an
 * answer. Every answer of the model and every effect of a tool is a checkpoint: after a crash the agent goes on where it
 * was, without paying for a word of the model twice.
 *
 * `deno run --allow-read --allow-write examples/agent.ts [FILE]`
 *
 * @module
 */
import { type Context, Engine, NonRetryableError, workflow } from "@stepwell/stepwell";

/** What the model says: that a tool is to be called, or the answer. */
type Reply = { readonly tool: string; readonly input: string } | { readonly answer: string };

interface Message {
  readonly role: "user" | "assistant" | "tool";
  readonly content: string;
}

/** In place of a model that is asked over the network. */
function model(messages: readonly Message[]): Reply {
  const told = messages.filter(({ role }) => role === "tool").map(({ content }) => content);
  if (told.length === 0) return { tool: "stock", input: "lamp" };
  if (told.length === 1) return { tool: "price", input: "lamp" };
  return { answer: `We have ${told[0]} lamps at ${told[1]} euros each` };
}

const tools: Readonly<Record<string, (input: string) => string>> = {
  stock: (item) => item === "lamp" ? "4" : "0",
  price: (item) => item === "lamp" ? "29" : "unknown",
};

/** How often the model may ask for a tool. */
const MAX_TURNS = 10;

export const agent = workflow("agent", async (ctx: Context, question: string) => {
  const messages: Message[] = [{ role: "user", content: question }];
  for (let turn = 1; turn <= MAX_TURNS; turn++) {
    const reply = await ctx.step("model", () => model(messages), {
      retry: { maxAttempts: 4 },
      timeout: "60s",
    });
    if ("answer" in reply) return reply.answer;
    ctx.log.info(`calls ${reply.tool}`, { input: reply.input });
    const result = await ctx.step(`tool:${reply.tool}`, () => {
      const tool = tools[reply.tool];
      if (tool === undefined) throw new NonRetryableError(`There is no tool "${reply.tool}"`);
      return tool(reply.input);
    });
    messages.push({ role: "assistant", content: JSON.stringify(reply) }, { role: "tool", content: result });
  }
  throw new Error(`No answer after ${MAX_TURNS} turns`);
});

if (import.meta.main) {
  await using engine = await Engine.open(Deno.args[0] ?? ":memory:", {
    workflows: [agent],
    onEvent: (event) => event.type === "log" && console.log(event.message, event.fields),
  });
  const input = "How many lamps have you got, and at what price?";
  console.log(await engine.run(agent, { id: "question-1", input }));
}
