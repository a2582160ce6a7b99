/**
 * A question that offers the name nearest to a mistyped one, such as ` (did you mean "resume"?)`, or nothing where
 * none is near: more than a third of the letters would have to change.
 */
export function didYouMean(found: string, names: Iterable<string>, prefix = ""): string {
  const name = nearest(found, names);
  return name === undefined ? "" : ` (did you mean "${prefix}${name}"?)`;
}

/** The name that takes the fewest edits to get to, if it is near enough to be meant. */
export function nearest(found: string, names: Iterable<string>): string | undefined {
  const limit = Math.max(1, Math.ceil(found.length / 3));
  let best: { name: string; edits: number } | undefined;
  for (const name of names) {
    const edits = name.startsWith(found) && found.length > 1 ? 1 : editsBetween(found, name, limit);
    if (edits <= limit && (best === undefined || edits < best.edits)) best = { name, edits };
  }
  return best?.name;
}

/** The longest name that is compared letter by letter. */
const MAX_LENGTH = 64;

/** How many letters to insert, delete, replace or swap with their neighbour: the optimal string alignment distance. */
function editsBetween(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit || Math.max(a.length, b.length) > MAX_LENGTH) return Infinity;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let edits = Math.min(replace, last[j]! + 1, row[j - 1]! + 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) edits = Math.min(edits, beforeLast[j - 2]! + 1);
      row.push(edits);
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length]!;
}
