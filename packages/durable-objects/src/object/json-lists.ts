/** Of up to 3 bytes each. */
const LIST_CHARACTERS = 256 * 1024;

/** JSON lists of ids, each below the 2 MB that a value of SQLite may have in a Durable Object. None for no ids. */
export function jsonLists(ids: readonly string[]): string[] {
  const lists: string[] = [];
  let list: string[] = [];
  let characters = 0;
  for (const id of ids) {
    list.push(id);
    characters += id.length + 3;
    if (characters < LIST_CHARACTERS) continue;
    lists.push(JSON.stringify(list));
    [list, characters] = [[], 0];
  }
  if (list.length > 0) lists.push(JSON.stringify(list));
  return lists;
}
