/**
 * Things that are due at a time, of which the earliest is known at once, however many there are (a binary heap). To add one or
 * take one out takes as many steps as their number has digits, to take none.
 */
export class DueTimes<K> {
  /** Each is due no later than the two at twice its place and after that. */
  readonly #heap: { readonly key: K; readonly at: number }[] = [];
  readonly #places = new Map<K, number>();

  /** How many there are. */
  get size(): number {
    return this.#heap.length;
  }

  /** When the first of them is due, in milliseconds since 1970; `Infinity` if there is none. */
  get earliest(): number {
    return this.#heap[0]?.at ?? Infinity;
  }

  /** When one is due; `Infinity` for one that is not there. */
  of(key: K): number {
    const place = this.#places.get(key);
    return place === undefined ? Infinity : this.#heap[place]!.at;
  }

  /** Adds one, or gives it another time. One that is due at no time, at `Infinity`, is not kept. */
  set(key: K, at: number): void {
    this.delete(key);
    if (at === Infinity) return;
    this.#places.set(key, this.#heap.length);
    this.#heap.push({ key, at });
    this.#rise(this.#heap.length - 1);
  }

  /** Takes one out. @returns whether it was there */
  delete(key: K): boolean {
    const place = this.#places.get(key);
    if (place === undefined) return false;
    this.#places.delete(key);
    const last = this.#heap.pop()!;
    if (place < this.#heap.length) {
      this.#put(place, last);
      this.#sink(place);
      this.#rise(place);
    }
    return true;
  }

  /** Takes all of them out. */
  clear(): void {
    this.#heap.length = 0;
    this.#places.clear();
  }

  /** Those that are due by a time, the first of them first. They stay until they are taken out. */
  dueBy(now: number): K[] {
    const due: { readonly key: K; readonly at: number }[] = [];
    // Below one that is not due yet, none is.
    for (const places = [0]; places.length > 0;) {
      const place = places.pop()!;
      const entry = this.#heap[place];
      if (entry === undefined || entry.at > now) continue;
      due.push(entry);
      places.push(2 * place + 1, 2 * place + 2);
    }
    return due.sort((a, b) => a.at - b.at).map(({ key }) => key);
  }

  #rise(place: number): void {
    const entry = this.#heap[place]!;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (this.#heap[parent]!.at <= entry.at) break;
      this.#put(place, this.#heap[parent]!);
      place = parent;
    }
    this.#put(place, entry);
  }

  #sink(place: number): void {
    const entry = this.#heap[place]!;
    while (true) {
      let child = 2 * place + 1;
      if (child >= this.#heap.length) break;
      if (child + 1 < this.#heap.length && this.#heap[child + 1]!.at < this.#heap[child]!.at) child++;
      if (this.#heap[child]!.at >= entry.at) break;
      this.#put(place, this.#heap[child]!);
      place = child;
    }
    this.#put(place, entry);
  }

  #put(place: number, entry: { readonly key: K; readonly at: number }): void {
    this.#heap[place] = entry;
    this.#places.set(entry.key, place);
  }
}
