import { type Workflow, workflow } from "@stepwell/stepwell";
import { provisionAccess } from "./access.ts";
import { provisionLaptop } from "./laptops.ts";
import { sendMail } from "./mail.ts";
import type { Office } from "./office.ts";
import { createRecord, type Person } from "./records.ts";

/** What {@linkcode onboardingAt} gives back. */
export interface Onboarded {
  readonly employee: string;
  readonly laptop: string;
  readonly accounts: readonly string[];
  /** The id of the welcome message. */
  readonly welcome: string;
}

/** Who is onboarded where the workflow is started without an input. */
const ADA: Person = { name: "Ada Lovelace", role: "analyst" };

/**
 * The workflow `onboarding`: a record first, then a laptop and accounts at the same time, then a welcome by mail.
 *
 * Each step hands its idempotency key to its service. A step may run twice, where a crash came between its effect
 * and its checkpoint; the service sees the same key again, and has the effect once.
 *
 * @param office the services it works with
 */
export function onboardingAt(office: Office): Workflow<Person | undefined, Onboarded> {
  return workflow("onboarding", async (ctx, input: Person | undefined): Promise<Onboarded> => {
    const person = checked(input ?? ADA);

    const record = await ctx.step(
      "create_record",
      (info) => createRecord(office, person, info.idempotencyKey),
    );

    const [laptop, access] = await ctx.all([
      (ctx) => ctx.step("provision_laptop", (info) => provisionLaptop(office, record, info.idempotencyKey)),
      (ctx) => ctx.step("provision_access", (info) => provisionAccess(office, record, info.idempotencyKey)),
    ]);

    const welcome = await ctx.step("send_welcome_email", (info) => {
      const message = {
        to: access.accounts[0]!,
        subject: `Welcome, ${record.name}`,
        body: `Your number is ${record.employee}, your laptop ${laptop.serial}.`,
      };
      return sendMail(office, message, info.idempotencyKey);
    });

    return {
      employee: record.employee,
      laptop: laptop.serial,
      accounts: access.accounts,
      welcome: welcome.messageId,
    };
  });
}

/** The input may come from a command line, so its type is only a wish. */
function checked(person: Person): Person {
  if (typeof person?.name !== "string" || typeof person.role !== "string") {
    throw new TypeError(
      `Cannot onboard: wanted {"name": string, "role": string}, found ${JSON.stringify(person)}`,
    );
  }
  return person;
}
