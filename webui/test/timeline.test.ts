import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Calls } from '../src/engine/port';
import { app } from '../src/lib/app.svelte';
import { Timeline, WINDOW } from '../src/lib/timeline.svelte';
import type { Message, Page } from '../src/wire';
import { entry, me, message } from './things';

/** A room of `last` messages; tests may hold a page back to let something happen first. */
let last: number;
let asked: object[];
let hold: Promise<void> | undefined;
let timeline: Timeline;

beforeEach(() => {
  vi.useFakeTimers();
  last = 500;
  asked = [];
  hold = undefined;
  app.calls = {
    page: async (
      _room: string,
      where: { before?: number; after?: number; around?: number },
      limit: number,
    ): Promise<Page> => {
      asked.push(where);
      const end = last;
      await hold;
      let from = end - limit + 1;
      if (where.before !== undefined) from = where.before - limit;
      if (where.after !== undefined) from = where.after + 1;
      if (where.around !== undefined) from = where.around - limit / 2;
      const to = Math.min(end, where.before !== undefined ? where.before - 1 : from + limit - 1);
      from = Math.max(1, from);
      const messages = Array.from({ length: to - from + 1 }, (_, i) => message(from + i));
      return { messages, more_before: from > 1, more_after: to < end };
    },
  } as Partial<Calls> as Calls;
  app.receive({ whole: true, auth: { state: 'in' }, me, rooms: [known(500)] });
  timeline = new Timeline('r1');
});
afterEach(() => {
  timeline.close();
  vi.useRealTimers();
});

const known = (last_seq: number, unread = 0) =>
  entry('r1', { last_seq, read_seq: last_seq - unread, unread });
const ends = () => [timeline.messages[0]?.seq, timeline.messages.at(-1)?.seq];
const arrive = (...messages: Message[]) =>
  app.receive({ messages, rooms: [known(Math.max(last, ...messages.map((m) => m.seq)))] });

test('opens at the end when everything is read', async () => {
  await timeline.open();
  expect(ends()).toEqual([441, 500]);
  expect(timeline.moreAfter).toBe(false);
  expect(timeline.unreadFrom).toBeUndefined();
});

test('opens around the first unread when there is much', async () => {
  app.receive({ rooms: [known(500, 200)] });
  await timeline.open();
  expect(timeline.unreadFrom).toBe(301);
  expect(ends()).toEqual([271, 330]);
  expect(timeline.moreAfter).toBe(true);
});

test('with little unread it opens at the end, the line among the last', async () => {
  app.receive({ rooms: [known(500, 3)] });
  await timeline.open();
  expect(timeline.unreadFrom).toBe(498);
  expect(ends()).toEqual([441, 500]);
});

test('at the end it takes in what arrives; in the past it does not', async () => {
  await timeline.open();
  arrive(message(501));
  expect(ends()[1]).toBe(501);
  await timeline.around(100);
  arrive(message(502));
  expect(ends()[1]).toBe(129);
  arrive(message(100, { text: 'edited' }));
  expect(timeline.messages.find((m) => m.seq === 100)?.text).toBe('edited');
});

test('a message twice is a message once', async () => {
  await timeline.open();
  arrive(message(501), message(501));
  arrive(message(501));
  expect(timeline.messages.filter((m) => m.seq === 501)).toHaveLength(1);
});

test('the window is bounded at both ends', async () => {
  await timeline.open();
  while (timeline.moreBefore) await timeline.older();
  expect(timeline.messages).toHaveLength(WINDOW);
  expect(ends()).toEqual([1, WINDOW]);
  expect(timeline.moreAfter).toBe(true);
  while (timeline.moreAfter) await timeline.newer();
  expect(ends()).toEqual([500 - WINDOW + 1, 500]);
  expect(timeline.moreBefore).toBe(true);
});

test('a hole is filled', async () => {
  await timeline.open();
  last = 503;
  arrive(message(503));
  expect(timeline.messages.map((m) => m.seq).slice(-2)).toEqual([500, 503]);
  await vi.advanceTimersByTimeAsync(200);
  expect(asked.at(-1)).toEqual({ after: 500 });
  expect(timeline.messages.map((m) => m.seq).slice(-4)).toEqual([500, 501, 502, 503]);
});

test('what arrives while the first page is on its way is not lost', async () => {
  let go = () => {};
  hold = new Promise((resolve) => {
    go = resolve;
  });
  const opened = timeline.open();
  last = 501;
  arrive(message(501));
  go();
  await opened;
  expect(ends()[1]).toBe(501);
  expect(timeline.moreAfter).toBe(false);
});

test('a failed load says so and can be tried again', async () => {
  const page = app.calls.page;
  app.calls.page = () => Promise.reject(new Error('offline'));
  await timeline.open();
  expect(timeline.failed).toBe(true);
  app.calls.page = page;
  await timeline.latest();
  expect(timeline.failed).toBe(false);
  expect(ends()[1]).toBe(500);
});

test('after a reset the open room is loaded again', async () => {
  await timeline.open();
  last = 900;
  app.receive({ rooms: [known(900)], reset: true });
  await vi.advanceTimersByTimeAsync(1);
  expect(ends()[1]).toBe(900);
});
