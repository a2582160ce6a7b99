/** A queue that takes no longer at either end the more is in it: an array moves all that is behind its first entry. */
export class Fifo<T> {
  #entries: (T | undefined)[] = [];
  /** Where the first of them is. */
  #first = 0;

  /** How many there are in it. */
  get length(): number {
    return this.#entries.length - this.#first;
  }

  /** Adds one at the end. */
  push(entry: T): void {
    this.#entries.push(entry);
  }

  /** Puts one before all others. */
  unshift(entry: T): void {
    if (this.#first > 0) this.#entries[--this.#first] = entry;
    else this.#entries.unshift(entry);
  }

  /** Takes the first one out. @returns undefined if there is none */
  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const entry = this.#entries[this.#first];
    this.#entries[this.#first++] = undefined;
    if (this.#first === this.#entries.length) {
      this.clear();
    } else if (this.#first >= SPARE && this.#first * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
    return entry;
  }

  /** Takes all of them out. */
  clear(): void {
    this.#entries.length = 0;
    this.#first = 0;
  }
}

/** How many places may be empty before the first entry, and then as many as there are entries. */
const SPARE = 1_024;
