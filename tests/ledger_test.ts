import { assertEquals, assertRejects } from "@std/assert";
import { Ledger, officeIn, sendMail } from "../examples/onboarding/mod.ts";
import { inFolder, start } from "./cli/program.ts";

Deno.test("Ledger.once() has an effect once for its key, and gives its result again", () =>
  inFolder(async (folder) => {
    const ledger = new Ledger(`${folder}/made/ledger.jsonl`);
    assertEquals(await ledger.entries(), []);
    assertEquals(await ledger.once("a", "count", (earlier) => earlier.length), 0);
    assertEquals(await ledger.once("b", "count", (earlier) => earlier.length), 1);
    assertEquals(await ledger.once("a", "count", () => 99), 0);
    assertEquals((await ledger.entries()).map((entry) => entry.key), ["a", "b"]);
  }));

Deno.test("Ledger.once() has an effect again whose line is torn, wherever it is torn", () =>
  inFolder(async (folder) => {
    const ledger = new Ledger(`${folder}/ledger.jsonl`);
    await ledger.once("a", "greeting", () => "héllo");
    const whole = (await Deno.stat(ledger.path)).size;
    await ledger.once("b", "greeting", () => "wörld");
    const both = await Deno.readFile(ledger.path);

    for (let length = whole; length < both.length; length++) {
      await Deno.writeFile(ledger.path, both.subarray(0, length));
      assertEquals((await ledger.entries()).map((entry) => entry.key), ["a"]);
      assertEquals(await ledger.once("b", "greeting", () => "again"), "again");
      assertEquals((await ledger.entries()).map((entry) => entry.result), ["héllo", "again"]);
    }
  }));

Deno.test("Ledger says where a line inside it is damaged, and writes nothing", () =>
  inFolder(async (folder) => {
    const ledger = new Ledger(`${folder}/ledger.jsonl`);
    await Deno.writeTextFile(ledger.path, '{"key":"a"}\n{"key":\n{"key":"c"}\n');
    await assertRejects(() => ledger.once("d", "x", () => 1), Error, "Cannot read line 2");
    assertEquals((await Deno.readTextFile(ledger.path)).split("\n").length, 4);
  }));

Deno.test("Ledger.once() has each effect once where many ask at the same time", () =>
  inFolder(async (folder) => {
    const ledgers = Array.from({ length: 4 }, () => new Ledger(`${folder}/ledger.jsonl`));
    const results = await Promise.all(
      Array.from(
        { length: 40 },
        (_, i) => ledgers[i % 4]!.once(`k${i % 10}`, "count", (earlier) => earlier.length),
      ),
    );
    assertEquals((await ledgers[0]!.entries()).length, 10);
    for (let i = 0; i < 40; i++) assertEquals(results[i], results[i % 10]);
  }));

Deno.test("Ledger keeps what it has acknowledged when its processes are killed while they write", () =>
  inFolder(async (folder) => {
    const ledger = new Ledger(`${folder}/ledger.jsonl`);
    const script = `${folder}/writer.ts`;
    await Deno.writeTextFile(
      script,
      `import { Ledger } from ${JSON.stringify(import.meta.resolve("../examples/onboarding/ledger.ts"))};
       const ledger = new Ledger("ledger.jsonl");
       for (let i = 0; ; i++) {
         await ledger.once(Deno.args[0] + "-" + i, "write", () => "x".repeat(2000));
         console.log(Deno.args[0] + "-" + i + ".");
       }`,
    );
    const program = [Deno.execPath(), "run", "-q", "--allow-read", "--allow-write", script] as const;
    const writers = ["a", "b"].map((name) => start([name], { cwd: folder, program }));
    await Promise.all([writers[0]!.says("a-20."), writers[1]!.says("b-20.")]);
    for (const writer of writers) writer.kill("SIGKILL");
    const said = (await Promise.all(writers.map((writer) => writer.ended()))).map((ended) => ended.stdout)
      .join("");

    await ledger.once("last", "write", () => "done");
    const keys = (await ledger.entries()).map((entry) => entry.key);
    assertEquals(new Set(keys).size, keys.length);
    for (const [, acknowledged] of said.matchAll(/(\S+)\.\n/g)) {
      assertEquals(keys.includes(acknowledged!), true);
    }
  }));

Deno.test("sendMail() writes the message again where its process was killed before that, and sends it once", () =>
  inFolder(async (folder) => {
    const office = officeIn(folder);
    const message = { to: "ada", subject: "Welcome", body: "Hello" };
    await sendMail(office, message, "k");
    await Deno.remove(`${folder}/outbox/M0001.txt`);
    assertEquals((await sendMail(office, message, "k")).messageId, "M0001");
    assertEquals(
      await Deno.readTextFile(`${folder}/outbox/M0001.txt`),
      "To: ada\nSubject: Welcome\n\nHello\n",
    );
    assertEquals((await office.ledger.entries()).length, 1);
  }));
