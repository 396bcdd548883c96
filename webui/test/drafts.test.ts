import { IDBFactory } from 'fake-indexeddb';
import 'fake-indexeddb/auto';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Calls } from '../src/engine/port';
import { app } from '../src/lib/app.svelte';
import { draftOf, keepDraft } from '../src/lib/drafts';
import type { ClientFrame } from '../src/wire';
import { Bench } from './bench';
import { entry, me } from './things';

let bench: Bench;

beforeEach(async () => {
  vi.stubGlobal('indexedDB', new IDBFactory());
  bench = new Bench();
  await bench.start();
  await bench.live();
});
afterEach(() => bench.close());

const put = () => bench.socket.ops('draft');
const kept = () => bench.engine.world?.drafts.get('r1');
const stored = async () => (await bench.store.load()).drafts;
const answer = async (frame: ClientFrame | undefined, problem?: object) => {
  bench.socket.tell(
    problem ? { op: 'error', ref: frame?.ref, problem } : { op: 'ok', ref: frame?.ref },
  );
  await bench.settled();
};
const fromElsewhere = async (
  cursor: string,
  text?: string,
  updated_at = '2026-11-22T10:00:00.000Z',
) => {
  const draft = text === undefined ? {} : { draft: { text, updated_at } };
  bench.socket.tell({ op: 'event', cursor, event: { type: 'draft', room_id: 'r1', ...draft } });
  await bench.settled();
};

test('stored and told to the tabs at once, to the server after a rest', async () => {
  await bench.calls.keepDraft('r1', 'ha');
  bench.clock.pass(1000);
  await bench.calls.keepDraft('r1', 'half', 2);
  expect(await stored()).toMatchObject([{ room_id: 'r1', text: 'half', ahead: true }]);
  expect(bench.news.at(-1)?.drafts).toMatchObject([{ text: 'half', reply_to: 2 }]);
  bench.clock.pass(1499);
  expect(put()).toEqual([]);
  bench.clock.pass(1);
  expect(put()).toMatchObject([{ room_id: 'r1', text: 'half', reply_to: 2 }]);
  await answer(put()[0]);
  expect(await stored()).toEqual([{ room_id: 'r1', text: 'half', reply_to: 2 }]);
});

test('leaving does not wait; what has been told is not told again', async () => {
  await bench.calls.keepDraft('r1', 'half');
  await bench.calls.tellDraft('r1');
  await answer(put()[0]);
  await bench.calls.tellDraft('r1');
  bench.clock.pass(5000);
  expect(put()).toHaveLength(1);
});

test('written offline, it goes with the next connection, after a restart too', async () => {
  await bench.calls.keepDraft('r1', 'in the dark');
  await bench.close();
  const next = new Bench();
  Object.assign(next.answers, bench.answers);
  bench = next;
  await bench.start();
  expect(bench.news[0]?.drafts).toMatchObject([{ text: 'in the dark' }]);
  await bench.live();
  expect(put()).toMatchObject([{ text: 'in the dark' }]);
});

test('another device’s draft comes, and goes when it was sent there', async () => {
  await fromElsewhere('c1', 'from the phone');
  expect(kept()?.text).toBe('from the phone');
  await fromElsewhere('c2');
  expect(kept()).toBeUndefined();
  expect(await stored()).toEqual([]);
  expect(bench.news.at(-1)?.dropDrafts).toEqual(['r1']);
});

test('while we are ahead, another device’s draft does not count', async () => {
  await bench.calls.keepDraft('r1', 'ours');
  await fromElsewhere('c1', 'theirs');
  expect(kept()?.text).toBe('ours');
  await bench.calls.tellDraft('r1');
  await bench.calls.keepDraft('r1', 'ours, longer');
  await answer(put()[0]);
  await fromElsewhere('c2', 'ours');
  expect(kept()).toMatchObject({ text: 'ours, longer', ahead: true });
});

test('written on while the first is on its way: the rest follows', async () => {
  await bench.calls.keepDraft('r1', 'one');
  await bench.calls.tellDraft('r1');
  await bench.calls.keepDraft('r1', 'one two');
  await bench.calls.tellDraft('r1');
  expect(put()).toHaveLength(1);
  await answer(put()[0]);
  expect(put().map((f) => f.text)).toEqual(['one', 'one two']);
  await answer(put()[1]);
  expect(kept()).toEqual({ room_id: 'r1', text: 'one two' });
});

test('too fast: it waits as long as it is told to', async () => {
  await bench.calls.keepDraft('r1', 'half');
  await bench.calls.tellDraft('r1');
  await answer(put()[0], { code: 'too_many', retry_after_ms: 4000 });
  bench.clock.pass(3999);
  expect(put()).toHaveLength(1);
  bench.clock.pass(1);
  expect(put()).toHaveLength(2);
});

test('emptied: the server hears that there is none, then nothing is kept', async () => {
  await fromElsewhere('c1', 'half');
  await bench.calls.keepDraft('r1', '');
  expect(await stored()).toMatchObject([{ text: '', ahead: true }]);
  await bench.calls.tellDraft('r1');
  expect(put()).toMatchObject([{ text: '' }]);
  await answer(put()[0]);
  expect(await stored()).toEqual([]);
});

test('whom one answers is kept here before the first word', async () => {
  await bench.calls.keepDraft('r1', '', 2);
  await bench.calls.tellDraft('r1');
  expect(put()[0]).not.toHaveProperty('reply_to');
  await answer(put()[0]);
  await fromElsewhere('c1');
  expect(kept()).toMatchObject({ text: '', reply_to: 2 });
});

test('the list of rooms brings drafts; a new list without one takes it away', async () => {
  const draft = { text: 'half', updated_at: '2026-11-22T10:00:00.000Z' };
  bench.answers['/v1/rooms?limit=100'] = { rooms: [entry('r1', { draft })] };
  bench.socket.tell({ op: 'reset', cursor: 'c5' });
  await bench.settled();
  expect(kept()).toEqual({ room_id: 'r1', ...draft });
  expect(bench.engine.world?.rooms.get('r1')).not.toHaveProperty('draft');
  bench.answers['/v1/rooms?limit=100'] = { rooms: [entry('r1')] };
  bench.socket.tell({ op: 'reset', cursor: 'c6' });
  await bench.settled();
  expect(kept()).toBeUndefined();
});

test('it outlives an expired session, not a sign-out', async () => {
  await bench.calls.keepDraft('r1', 'half');
  await bench.engine.signedOut('unauthenticated');
  expect(await stored()).toHaveLength(1);
  await bench.engine.signedOut();
  expect(await stored()).toEqual([]);
});

test('a tab is ahead of the engine’s news of its own writing', async () => {
  let done = () => {};
  const calls = { keepDraft: () => new Promise<void>((resolve) => (done = resolve)) };
  app.calls = calls as Partial<Calls> as Calls;
  app.receive({ whole: true, auth: { state: 'in' }, me, rooms: [entry('r1')] });
  keepDraft('r1', 'half a thought');
  expect(draftOf('r1').text).toBe('half a thought');
  app.receive({ drafts: [{ room_id: 'r1', text: 'half' }] });
  expect(draftOf('r1').text).toBe('half a thought');
  done();
  await vi.waitFor(() => expect(app.writing.size).toBe(0));
  app.receive({ drafts: [{ room_id: 'r1', text: 'from the phone' }] });
  expect(draftOf('r1').text).toBe('from the phone');
  keepDraft('r1', '  ');
  expect(draftOf('r1').text).toBe('');
  done();
});
