/**
 * The functions of lodash that react-diff-view imports. The whole of lodash would be a third of the budget of the Diffs
 * tab, for one function; the others belong to parts of the library that are not in the build, and are named to be importable.
 */

export function mapValues<Value, Mapped>(
  values: Readonly<Record<string, Value>>,
  map: (value: Value) => Mapped,
): Record<string, Mapped> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, map(value)]));
}

function missing(): never {
  throw new Error("not in this build: see web/shims/lodash.ts");
}

export {
  missing as findIndex,
  missing as findLastIndex,
  missing as flatMap,
  missing as flatten,
  missing as groupBy,
  missing as isEmpty,
  missing as isEqual,
  missing as isEqualWith,
  missing as keyBy,
  missing as last,
};
