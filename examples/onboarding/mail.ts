import { writeAtomically } from "./atomic_file.ts";
import type { Office } from "./office.ts";

/** What is to be sent. */
export interface Message {
  readonly to: string;
  readonly subject: string;
  readonly body: string;
}

/** A message that has been sent. */
export interface SentMessage extends Message {
  /** Such as `"M0001"`. */
  readonly messageId: string;
}

/**
 * Sends a message: it is sent once the ledger has it, and lies in `outbox/` to look at.
 *
 * @param key the idempotency key: a second call with it sends nothing
 */
export async function sendMail(office: Office, message: Message, key: string): Promise<SentMessage> {
  const sent = await office.ledger.once(key, "mail", (earlier): SentMessage => {
    const before = earlier.filter((entry) => entry.kind === "mail").length;
    return { messageId: `M${String(before + 1).padStart(4, "0")}`, ...message };
  });
  const text = `To: ${sent.to}\nSubject: ${sent.subject}\n\n${sent.body}\n`;
  await writeAtomically(`${office.folder}/outbox/${sent.messageId}.txt`, text);
  return sent;
}
