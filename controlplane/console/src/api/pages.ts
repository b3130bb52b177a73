// Reads a paged list to its end; at most `pages` pages, so that a list that grows meanwhile ends too.
export async function allPages<Answer extends { nextPageToken: string }, Item>(
  read: (pageToken: string) => Promise<Answer>,
  items: (answer: Answer) => Item[],
  pages = 50,
): Promise<Item[]> {
  const result: Item[] = [];
  let token = "";
  for (let page = 0; page < pages; ++page) {
    const answer = await read(token);
    result.push(...(items(answer) ?? []));
    token = answer.nextPageToken;
    if (!token) break;
  }
  return result;
}
