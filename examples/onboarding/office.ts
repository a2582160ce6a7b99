import { Ledger } from "./ledger.ts";

/** Where the services of one office keep their files. */
export interface Office {
  /** The folder that everything is in. */
  readonly folder: string;
  /** Every effect that the services have had. */
  readonly ledger: Ledger;
}

/** The office in a folder, which is made when its first effect happens. */
export function officeIn(folder: string): Office {
  return { folder, ledger: new Ledger(`${folder}/ledger.jsonl`) };
}
