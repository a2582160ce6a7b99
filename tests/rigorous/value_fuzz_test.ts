import { LimitExceededError, SerializationError } from "@stepwell/stepwell";
import { assert, assertEquals } from "@std/assert";
import { decodeAnyValue, encodeValue } from "../../engine/serialize.ts";
import { snapshot } from "../../engine/snapshot.ts";
import type { SeededRandom } from "../../engine/random.ts";
import { RIGOROUS } from "../effort.ts";
import { chance, integer, oneOf, withSeeds } from "./seed.ts";

const VALUES = RIGOROUS ? 2_000 : 200;
const MAX_BYTES = 2 ** 20;

/** A value, and where what cannot be stored is in it, if there is something. */
interface Made {
  readonly value: unknown;
  readonly poison: string | undefined;
}

const TEXTS = [
  "",
  "a",
  "__proto__",
  "toJSON",
  "then",
  "$devalue",
  "é💴",
  "\ud83d",
  "\0",
  "a\udc00b",
  "</script>",
  "x".repeat(50),
];
const NUMBERS = [0, -0, 1, -1.5, NaN, Infinity, -Infinity, 2 ** 53, 1e300, 5e-324, -2];

class Money {
  constructor(readonly cents: number) {}
}
class Tags extends Array<unknown> {}
class Ratio extends Number {}

/** What cannot be stored, whatever it is in. */
const POISONS: (() => unknown)[] = [
  () => () => {},
  () => Symbol("x"),
  () => new Money(5),
  () => new Tags(),
  () => new Ratio(1),
  () => new WeakMap(),
  () => Promise.resolve(1),
  () => new Proxy(new Date(0), {}),
  () => Object.assign(new Date(0), { zone: 1 }),
  () => Object.assign([1n], { [Symbol("key")]: 1 }),
  () => Object.assign(new Array(3e8), { 7: 1 }),
  () => 10n ** 150_000n,
  () => "a-b".match(/-/),
  () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  },
];

/** Makes values of all kinds, at times with something in them that cannot be stored. */
class Maker {
  readonly #objects: object[] = [];
  /** Where one part that cannot be stored is put, counted down. */
  #poisonIn: number;

  constructor(readonly random: SeededRandom, isPoisoned: boolean) {
    this.#poisonIn = isPoisoned ? integer(random, 1, 12) : Infinity;
  }

  make(depth: number, path = ""): Made {
    const { random } = this;
    if (--this.#poisonIn === 0) return this.#poison(path);
    if (depth <= 0 || chance(random, 0.35)) return { value: this.#leaf(), poison: undefined };
    // What is met again, and what goes round in a circle.
    if (this.#objects.length > 0 && chance(random, 0.08)) {
      return { value: oneOf(random, this.#objects), poison: undefined };
    }
    return this.#container(depth - 1, path);
  }

  #poison(path: string): Made {
    if (chance(this.random, 0.2)) {
      const value = {
        get broken() {
          throw new Error("No");
        },
      };
      return { value, poison: `${path}.broken` };
    }
    return { value: oneOf(this.random, POISONS)(), poison: path };
  }

  #leaf(): unknown {
    const { random } = this;
    return oneOf<() => unknown>(random, [
      () => null,
      () => undefined,
      () => chance(random, 0.5),
      () => oneOf(random, NUMBERS),
      () => random.fraction(),
      () => oneOf(random, TEXTS),
      () => BigInt(integer(random, -1_000, 1_000)) ** 20n,
      () => new Date(chance(random, 0.2) ? NaN : integer(random, 0, 1e9)),
      () => /a+[\]</]/giu,
      () => new URL("https://example.com/ü?a=%20#é"),
      () => new URLSearchParams([["a", "é&"]]),
      () => Uint8Array.from([1, 2, integer(random, 0, 255)]),
      () => new Float64Array([NaN, -0, random.fraction()]).subarray(1),
      () => new DataView(new ArrayBuffer(4), 1, 2),
      () => Object(oneOf<unknown>(random, [1, "boxed", true, 3n])),
    ])();
  }

  #container(depth: number, path: string): Made {
    const { random } = this;
    const count = integer(random, 0, 4);
    let poison: string | undefined;
    const part = (place: string) => {
      const made = this.make(depth, path + place);
      poison ??= made.poison;
      return made.value;
    };
    const known = <T extends object>(object: T): T => {
      this.#objects.push(object);
      return object;
    };
    const kind = integer(random, 0, 5);
    if (kind === 0) {
      const list = known<unknown[]>([]);
      for (let i = 0; i < count; i++) list.push(part(`[${i}]`));
      if (chance(random, 0.1)) list.length += integer(random, 1, 30);
      return { value: list, poison };
    }
    if (kind === 1) {
      const map = known(new Map());
      for (let i = 0; i < count; i++) map.set(`k${i}`, part(`.get("k${i}")`));
      return { value: map, poison };
    }
    if (kind === 2) {
      const set = known(new Set());
      for (let i = 0; i < count; i++) set.add(part(""));
      return { value: set, poison };
    }
    if (kind === 3 && depth > 1) {
      const error = known(
        new (oneOf(random, [Error, TypeError, RangeError]))(oneOf(random, ["", "No", "é"])),
      );
      if (chance(random, 0.5)) error.cause = part(".cause");
      if (chance(random, 0.5)) Object.assign(error, { detail: part(".detail") });
      return { value: error, poison };
    }
    const object = known(kind === 4 ? Object.create(null) : {}) as Record<string, unknown>;
    for (let i = 0; i < count; i++) {
      const key = `p${i}${chance(random, 0.1) ? " é" : ""}`;
      const value = part(/ /.test(key) ? `[${JSON.stringify(key)}]` : `.${key}`);
      if (chance(random, 0.1)) Object.defineProperty(object, key, { get: () => value, enumerable: true });
      else object[key] = value;
    }
    return { value: object, poison };
  }
}

/** Whether two values are the same in every part, with the same parts shared. @returns where they are not */
function difference(
  one: unknown,
  other: unknown,
  path: string,
  pairs: Map<object, object>,
): string | undefined {
  if (typeof one !== "object" || one === null || typeof other !== "object" || other === null) {
    return Object.is(one, other) ? undefined : path;
  }
  if (pairs.has(one)) return pairs.get(one) === other ? undefined : `${path} is shared otherwise`;
  pairs.set(one, other);
  if (Object.getPrototypeOf(one) !== Object.getPrototypeOf(other)) return `${path} is of another class`;
  const inner = (a: unknown, b: unknown, place: string) => difference(a, b, path + place, pairs);
  if (one instanceof Map || one instanceof Set) return inner([...one], [...other as Set<unknown>], "{}");
  if (one instanceof Date) return inner(one.getTime(), (other as Date).getTime(), "");
  if (one instanceof RegExp || one instanceof URL || one instanceof URLSearchParams) {
    return inner(String(one), String(other), "");
  }
  if (ArrayBuffer.isView(one)) {
    const [a, b] = [one, other as Uint8Array].map(({ byteOffset, byteLength, buffer }) => [
      byteOffset,
      byteLength,
      ...new Uint8Array(buffer),
    ]);
    return inner(a, b, "");
  }
  if ([Number, String, Boolean, BigInt].some((Box) => one instanceof Box)) {
    return inner(one.valueOf(), other.valueOf(), "");
  }
  if (one instanceof Error) {
    const { name, message, cause } = other as Error;
    if (one.name !== name || one.message !== message) return path;
    const different = inner(one.cause, cause, ".cause");
    if (different !== undefined) return different;
  }
  // A cause is looked at above: whether it is seen as a property is not kept.
  const [keys, others] = [one, other].map((each) => Object.keys(each).filter((key) => key !== "cause")) as [
    string[],
    string[],
  ];
  if (keys.join("\n") !== others.join("\n")) return `${path} has ${others} for ${keys}`;
  if (Array.isArray(one) && one.length !== (other as unknown[]).length) return `${path}.length`;
  for (const key of keys) {
    const different = inner((one as never)[key], (other as never)[key], `.${key}`);
    if (different !== undefined) return different;
  }
  return undefined;
}

Deno.test("any value comes back as it was at the call, or is refused with the path to what is why", async () => {
  await withSeeds(VALUES, async (random) => {
    const maker = new Maker(random, chance(random, 0.3));
    const { value, poison } = maker.make(integer(random, 0, 6));
    let text: string | null;
    const wanted = snapshot(value);
    try {
      text = await encodeValue(value, "a value", MAX_BYTES);
    } catch (error) {
      assert(error instanceof SerializationError || error instanceof LimitExceededError, String(error));
      assert(poison !== undefined, `refused: ${error.message}`);
      if (error instanceof SerializationError) assertEquals(error.path, poison);
      return;
    }
    assertEquals(poison, undefined);
    assert(text === null || text.isWellFormed() && !text.includes("\0"));
    const back = await decodeAnyValue(text);
    // JSON has no place for what is shared: a plain value comes back as a tree.
    const isTree = text !== null && !text.startsWith('{"$devalue":');
    const different = isTree
      ? JSON.stringify(back) === text ? undefined : "the text"
      : difference(wanted, back, "value", new Map());
    assertEquals(different, undefined);
    // What came back is stored the same again.
    assertEquals(await encodeValue(back, "a value", MAX_BYTES), text);
  });
});

Deno.test("text that somebody has changed is a value or none, and holds nothing up", async () => {
  await withSeeds(VALUES, async (random) => {
    const { value } = new Maker(random, false).make(5);
    const text = await encodeValue(new Map([["value", value]]), "a value", MAX_BYTES);
    const characters = [...text!];
    for (let i = integer(random, 1, 3); i > 0; i--) {
      characters[integer(random, 12, characters.length - 1)] = oneOf(random, [...'0123456789-,[]{}":e']);
    }
    const begin = performance.now();
    try {
      await decodeAnyValue(characters.join(""));
    } catch (error) {
      assert(error instanceof Error);
    }
    assert(performance.now() - begin < 5_000);
  });
});
