/**
 * Calls a function for every item, with a limit on how many calls are under way. After a failure no further call is
 * made and those under way are waited for.
 *
 * @param poolLimit How many calls may be under way at once.
 * @param array The items, in the order in which they are taken.
 * @param iteratorFn What to do with an item.
 * @returns The results, in the order of the items; rejects at the end with an `AggregateError` of all failures.
 */
export function pooledMap<T, R>(
  poolLimit: number,
  array: Iterable<T> | AsyncIterable<T>,
  iteratorFn: (data: T) => Promise<R>,
): AsyncIterableIterator<R> {
  if (!Number.isInteger(poolLimit) || poolLimit < 1) {
    throw new RangeError("'poolLimit' must be a positive integer");
  }
  return collect(startAll(poolLimit, array, iteratorFn));
}

/** A call's result to come, in an object since a stream would wait for a bare promise. */
interface Call<R> {
  result: Promise<R>;
}

/** Makes the calls, whether or not anybody reads the results yet. */
function startAll<T, R>(
  poolLimit: number,
  items: Iterable<T> | AsyncIterable<T>,
  call: (item: T) => Promise<R>,
): ReadableStream<Call<R>> {
  const running = new Set<Promise<void>>();
  let failed = false;
  const fail = () => {
    failed = true;
  };
  return new ReadableStream({
    async start(calls) {
      for await (const item of items) {
        const result = Promise.resolve().then(() => call(item));
        const settled: Promise<void> = result.then(() => {}, fail).then(() => {
          running.delete(settled);
        });
        running.add(settled);
        calls.enqueue({ result });
        if (running.size >= poolLimit) await Promise.race(running);
        if (failed) break;
      }
      calls.close();
    },
  });
}

async function* collect<R>(calls: ReadableStream<Call<R>>): AsyncIterableIterator<R> {
  const errors: unknown[] = [];
  for await (const { result } of calls) {
    try {
      yield await result;
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) {
    throw new AggregateError(errors, "Cannot complete the mapping as an error was thrown from an item");
  }
}
