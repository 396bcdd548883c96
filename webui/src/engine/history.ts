import type { Message, Page } from '../wire';
import type { Api } from './api';
import type { Store } from './db';

export interface Where {
  before?: number;
  after?: number;
  around?: number;
}

/**
 * The seqs a page should hold. Seqs have no holes, so this is known before anybody
 * is asked; and a page kept here is whole exactly when it holds that many messages.
 */
export function span(where: Where, limit: number, last: number): [number, number] {
  let from = last - limit + 1;
  if (where.before !== undefined) from = where.before - limit;
  else if (where.after !== undefined) from = where.after + 1;
  else if (where.around !== undefined) from = where.around - Math.floor(limit / 2);
  const to = where.before !== undefined ? where.before - 1 : from + limit - 1;
  return [Math.max(1, from), Math.min(last, to)];
}

/** From what is kept if that is whole, else from the server; offline, what adjoins. */
export async function loadPage(
  store: Store,
  api: Api,
  room: string,
  where: Where,
  limit: number,
  last: number,
  fresh: boolean,
): Promise<Page> {
  const [from, to] = span(where, limit, last);
  const kept = await store.messages(room, from, to);
  const whole = (messages: Message[], a: number, b: number): Page => ({
    messages,
    more_before: a > 1,
    more_after: b < last,
  });
  if (!fresh && kept.length === to - from + 1) return whole(kept, from, to);
  try {
    const query = new URLSearchParams({ limit: String(limit) });
    for (const [key, seq] of Object.entries(where))
      if (seq !== undefined) query.set(key, String(seq));
    const page = await api.get<Page>(`/v1/rooms/${room}/messages?${query}`);
    await store.commit({ messages: page.messages });
    return page;
  } catch (error) {
    const run = where.after === undefined ? tail(kept) : head(kept);
    const touches = where.after === undefined ? run.at(-1)?.seq === to : run[0]?.seq === from;
    if (!run.length || !touches) throw error;
    return whole(run, run[0]?.seq ?? from, run.at(-1)?.seq ?? to);
  }
}

/** The longest unbroken run at the end. */
function tail(messages: Message[]): Message[] {
  let at = messages.length - 1;
  while (at > 0 && messages[at - 1]?.seq === (messages[at]?.seq ?? 0) - 1) at--;
  return messages.slice(Math.max(0, at));
}

/** The longest unbroken run at the start. */
function head(messages: Message[]): Message[] {
  let n = Math.min(1, messages.length);
  while (n < messages.length && messages[n]?.seq === (messages[n - 1]?.seq ?? 0) + 1) n++;
  return messages.slice(0, n);
}
