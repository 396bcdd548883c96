import { IDBFactory } from 'fake-indexeddb';
import 'fake-indexeddb/auto';
import { beforeEach, expect, test, vi } from 'vitest';
import { type Api, ApiError } from '../src/engine/api';
import { Store } from '../src/engine/db';
import { loadPage, span } from '../src/engine/history';
import type { Page } from '../src/wire';
import { message } from './things';

let store: Store;
let asked: string[];
let answer: Page | undefined;
const api = {
  get: async (path: string) => {
    asked.push(path);
    if (!answer) throw new ApiError({ code: 'network' });
    return answer;
  },
} as unknown as Api;

const keep = (...seqs: number[]) => store.commit({ messages: seqs.map((seq) => message(seq)) });
const load = (
  where: { before?: number; after?: number; around?: number },
  last: number,
  fresh = false,
) => loadPage(store, api, 'r1', where, 4, last, fresh);
const seqs = (page: Page) => page.messages.map((m) => m.seq);

beforeEach(async () => {
  vi.stubGlobal('indexedDB', new IDBFactory());
  store = await Store.open();
  asked = [];
  answer = undefined;
});

test('which seqs a page holds', () => {
  expect(span({}, 4, 10)).toEqual([7, 10]);
  expect(span({}, 4, 2)).toEqual([1, 2]);
  expect(span({ before: 7 }, 4, 10)).toEqual([3, 6]);
  expect(span({ before: 3 }, 4, 10)).toEqual([1, 2]);
  expect(span({ after: 8 }, 4, 10)).toEqual([9, 10]);
  expect(span({ around: 5 }, 4, 10)).toEqual([3, 6]);
});

test('what is kept whole is not asked for', async () => {
  await keep(7, 8, 9, 10);
  const page = await load({}, 10);
  expect(seqs(page)).toEqual([7, 8, 9, 10]);
  expect(page).toMatchObject({ more_before: true, more_after: false });
  expect(asked).toEqual([]);
});

test('a hole is fetched and kept', async () => {
  await keep(7, 9, 10);
  answer = {
    messages: [7, 8, 9, 10].map((seq) => message(seq)),
    more_before: true,
    more_after: false,
  };
  expect(seqs(await load({}, 10))).toEqual([7, 8, 9, 10]);
  expect(asked).toEqual(['/v1/rooms/r1/messages?limit=4']);
  expect(await store.messages('r1', 7, 10)).toHaveLength(4);
});

test('offline, what adjoins is shown and the rest is said to be missing', async () => {
  await keep(6, 8, 9, 10);
  const page = await load({}, 10);
  expect(seqs(page)).toEqual([8, 9, 10]);
  expect(page.more_before).toBe(true);
});

test('offline with nothing that adjoins is an error', async () => {
  await keep(7, 8);
  await expect(load({}, 10)).rejects.toThrow();
});

test('after a reset the server is asked even for what is kept', async () => {
  await keep(7, 8, 9, 10);
  answer = { messages: [message(10, { text: 'edited' })], more_before: true, more_after: false };
  await load({}, 10, true);
  expect(asked).toHaveLength(1);
  expect((await store.messages('r1', 10, 10))[0]?.text).toBe('edited');
});
