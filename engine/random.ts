/**
 * Randomness, of two kinds: what the engine draws for itself (ids, jitter), from a {@linkcode RandomSource}; and what
 * a workflow draws, from a {@linkcode SeededRandom} whose seed is stored, so that a replay draws the same.
 *
 * @module
 */

/** Fills an array with random bytes, as `crypto.getRandomValues` does. */
export type RandomSource = (bytes: Uint8Array<ArrayBuffer>) => void;

/** Bytes that were drawn ahead: asking the machine for a few costs as much as asking for many. */
const drawn = new Uint8Array(1_024);
let used = drawn.length;

/** The randomness of the machine. */
export const systemRandom: RandomSource = (bytes): void => {
  if (bytes.length > drawn.length) return void crypto.getRandomValues(bytes);
  if (used + bytes.length > drawn.length) {
    crypto.getRandomValues(drawn);
    used = 0;
  }
  for (let i = 0; i < bytes.length; i++) bytes[i] = drawn[used++]!;
};

/** Where an id is drawn. */
const WORDS = new Uint32Array(2);
const WORD_BYTES = new Uint8Array(WORDS.buffer);

/** A random integer from 1 to 2^47: it identifies a run or an executor, and fits a number of any language. */
export function randomId(random: RandomSource): number {
  random(WORD_BYTES);
  return (WORDS[0]! % 2 ** 15) * 2 ** 32 + WORDS[1]! + 1;
}

/** A random number, at least 0 and less than 1. */
export function randomFraction(random: RandomSource): number {
  return (randomId(random) - 1) / 2 ** 47;
}

/** A random UUID (RFC 9562, version 4). */
export function randomUuid(random: RandomSource): string {
  const bytes = new Uint8Array(16);
  random(bytes);
  return formatUuid(bytes);
}

/**
 * A generator that gives the same numbers for the same seed: sfc32 (Chris Doty-Humphrey, PractRand), whose state of
 * 128 bits is filled from a seed of 53 bits. Good for simulations and ids; not for secrets.
 */
export class SeededRandom {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param seed an integer from 0 to 2^53 - 1 */
  constructor(seed: number) {
    this.#a = 0;
    this.#b = seed >>> 0;
    this.#c = Math.floor(seed / 2 ** 32);
    for (let round = 0; round < 12; round++) this.uint32();
  }

  /** An integer from 0 to 2^32 - 1. */
  uint32(): number {
    const result = (this.#a + this.#b + this.#counter) >>> 0;
    this.#counter = (this.#counter + 1) >>> 0;
    this.#a = (this.#b ^ (this.#b >>> 9)) >>> 0;
    this.#b = (this.#c + (this.#c << 3)) >>> 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) >>> 0;
    return result;
  }

  /** A number that is at least 0 and less than 1, with 53 random bits. */
  fraction(): number {
    return ((this.uint32() >>> 5) * 2 ** 26 + (this.uint32() >>> 6)) / 2 ** 53;
  }

  /** A UUID (RFC 9562, version 4). */
  uuid(): string {
    const words = Uint32Array.of(this.uint32(), this.uint32(), this.uint32(), this.uint32());
    return formatUuid(new Uint8Array(words.buffer));
  }
}

/** The text of a UUID of version 4 with these 16 random bytes. */
function formatUuid(bytes: Uint8Array): string {
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  let hex = "";
  for (const byte of bytes) hex += (byte + 0x100).toString(16).slice(1);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
