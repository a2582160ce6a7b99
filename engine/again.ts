/**
 * Does something whenever it is asked to, one after the other: all who ask while it is being done have it done once more
 * after that.
 */
export class Again {
  #asked = false;
  #doing = false;

  /** @param act must not reject */
  constructor(private readonly act: () => Promise<void>) {}

  /** Has it done. */
  ask(): void {
    this.#asked = true;
    if (this.#doing) return;
    this.#doing = true;
    void this.#do();
  }

  async #do(): Promise<void> {
    while (this.#asked) {
      this.#asked = false;
      await this.act();
    }
    this.#doing = false;
  }
}
