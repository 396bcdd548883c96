import { IDBFactory } from 'fake-indexeddb';
import 'fake-indexeddb/auto';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ApiError } from '../src/engine/api';
import { Bench } from './bench';
import { entry, me, message } from './things';

let bench: Bench;
/** The browser is closed and opened again: the store stays. */
async function again(): Promise<Bench> {
  await bench.close();
  const next = new Bench();
  Object.assign(next.answers, bench.answers);
  bench = next;
  await next.start();
  return next;
}

beforeEach(async () => {
  vi.stubGlobal('indexedDB', new IDBFactory());
  bench = new Bench();
  await bench.start();
});
afterEach(() => bench.close());

test('the first time: the cursor, then the rooms, then hello with that cursor', async () => {
  expect(bench.gets.slice(0, 3)).toEqual(['/v1/me', '/v1/sync?limit=0', '/v1/rooms?limit=100']);
  bench.socket.onopen?.();
  expect(bench.socket.sent[0]).toMatchObject({ op: 'hello', cursor: 'c0' });
});

test('the next time: no request at all, hello goes on from the saved cursor', async () => {
  await bench.live();
  await bench.event('c5', message(3));
  await again();
  expect(bench.gets).toEqual([]);
  bench.socket.onopen?.();
  expect(bench.socket.sent[0]).toMatchObject({ op: 'hello', cursor: 'c5' });
  expect(bench.news[0]?.rooms?.[0]).toMatchObject({ last_seq: 3, unread: 1 });
});

test('nobody is signed in', async () => {
  vi.stubGlobal('indexedDB', new IDBFactory());
  bench = new Bench();
  bench.answers['/v1/me'] = new ApiError({ code: 'unauthenticated', status: 401 });
  await bench.start();
  expect(bench.news.at(-1)?.auth).toEqual({ state: 'out' });
  expect(bench.sockets).toEqual([]);
});

test('the server is away at the first start: it is asked again', async () => {
  vi.stubGlobal('indexedDB', new IDBFactory());
  bench = new Bench();
  bench.answers['/v1/me'] = new ApiError({ code: 'network' });
  await bench.start();
  expect(bench.engine.auth.state).toBe('starting');
  bench.answers['/v1/me'] = me;
  bench.clock.pass(30_000);
  await vi.waitFor(() => expect(bench.engine.auth.state).toBe('in'));
});

test('events and their cursor are stored together, then told, then acknowledged', async () => {
  await bench.live();
  await bench.event('c7', message(3), message(4));
  expect(await bench.store.messages('r1', 3, 4)).toHaveLength(2);
  expect((await bench.store.load()).saved.cursor).toBe('c7');
  expect(bench.news.at(-1)?.fresh).toHaveLength(2);
  bench.clock.pass(500);
  expect(bench.socket.ops('ack').at(-1)).toEqual({ op: 'ack', cursor: 'c7' });
});

test('what cannot be stored is neither told nor acknowledged, and comes again', async () => {
  await bench.live();
  bench.clock.pass(500);
  const first = bench.socket;
  vi.spyOn(bench.store, 'commit').mockRejectedValueOnce(new Error('quota'));
  const told = bench.news.length;
  await bench.event('c7', message(3));
  expect(bench.news.slice(told).some((n) => n.messages?.length)).toBe(false);
  expect(first.closed).toBe(true);
  bench.clock.pass(1000);
  bench.socket.onopen?.();
  expect(bench.socket.sent[0]).toMatchObject({ op: 'hello', cursor: 'c0' });
});

test('a message sent offline waits in the store and goes once, after a restart too', async () => {
  const id = await bench.calls.send('r1', 'hello');
  expect((await bench.store.load()).outbox).toMatchObject([{ client_id: id, text: 'hello' }]);
  await again();
  await bench.live();
  expect(bench.socket.ops('send')).toMatchObject([{ client_id: id, text: 'hello', room_id: 'r1' }]);
  bench.socket.tell({
    op: 'sent',
    ref: id,
    message_id: '9',
    seq: 3,
    created_at: '2026-11-22T10:00:00.000Z',
  });
  await bench.settled();
  expect((await bench.store.load()).outbox).toEqual([]);
  expect(await bench.store.messages('r1', 3, 3)).toMatchObject([{ text: 'hello', client_id: id }]);
});

test('a sent message becomes a message in one piece of news', async () => {
  await bench.live();
  const id = await bench.calls.send('r1', 'hello');
  bench.socket.tell({
    op: 'sent',
    ref: id,
    message_id: '9',
    seq: 3,
    created_at: '2026-11-22T10:00:00.000Z',
  });
  await bench.settled();
  const both = bench.news.filter((n) => n.dropOutbox?.length);
  expect(both).toHaveLength(1);
  expect(both[0]?.messages).toMatchObject([{ seq: 3, client_id: id }]);
});

test('lost between send and sent: the catch-up brings it, and it does not go again', async () => {
  await bench.live();
  const id = await bench.calls.send('r1', 'hello');
  bench.socket.onclose?.({ code: 1006 });
  bench.clock.pass(1000);
  bench.socket.onopen?.();
  bench.socket.tell({
    op: 'welcome',
    user: me,
    device_id: 'd1',
    heartbeat_ms: 25_000,
    cursor: 'c0',
    server_time: '2027-01-15T08:00:00.000Z',
  });
  const mine = message(3, { sender_id: 'me', client_id: id, text: 'hello' });
  bench.socket.tell({ op: 'event', cursor: 'c1', event: { type: 'message', message: mine } });
  bench.socket.tell({ op: 'synced', cursor: 'c1' });
  await bench.settled();
  expect(bench.socket.ops('send')).toEqual([]);
  expect(bench.engine.world?.outbox).toEqual([]);
});

test('refused for good: kept with the reason, retried or deleted by hand', async () => {
  await bench.live();
  const id = await bench.calls.send('r1', 'x'.repeat(9000));
  bench.socket.tell({ op: 'error', ref: id, problem: { code: 'too_large', limit: 8000 } });
  await bench.settled();
  expect((await bench.store.load()).outbox[0]?.failed).toEqual({ code: 'too_large', limit: 8000 });
  expect(bench.socket.ops('send')).toHaveLength(1);
  await bench.calls.retry(id);
  expect(bench.socket.ops('send')).toHaveLength(2);
  await bench.calls.discard(id);
  expect((await bench.store.load()).outbox).toEqual([]);
});

test('our clock is ahead: the same words go under an id of the server’s time', async () => {
  await bench.live();
  const id = await bench.calls.send('r1', 'hello');
  const server_time = new Date(bench.clock.time - 600_000).toISOString();
  bench.socket.tell({ op: 'error', ref: id, problem: { code: 'clock_ahead', server_time } });
  await bench.settled();
  const [first, second] = bench.socket.ops('send');
  expect(second?.text).toBe('hello');
  expect(String(second?.client_id) < String(first?.client_id)).toBe(true);
});

test('reset: rooms again from the server, messages stay, tabs are told', async () => {
  await bench.live();
  await bench.event('c1', message(3));
  bench.answers['/v1/rooms?limit=100'] = {
    rooms: [entry('r1', { last_seq: 9, read_seq: 2, unread: 7 }), entry('r2')],
  };
  bench.socket.tell({ op: 'reset', cursor: 'c90' });
  await vi.waitFor(() => expect(bench.news.some((n) => n.reset)).toBe(true));
  expect(bench.engine.world?.rooms.get('r1')?.last_seq).toBe(9);
  expect(await bench.store.messages('r1', 3, 3)).toHaveLength(1);
  expect((await bench.store.load()).saved.cursor).toBe('c90');
});

test('a read mark set offline is told when the connection is back', async () => {
  await bench.live();
  await bench.event('c1', message(3));
  bench.socket.onclose?.({ code: 1006 });
  await bench.calls.read('r1', 3);
  await again();
  await bench.live('c1');
  expect(bench.socket.ops('read')).toEqual([
    { op: 'read', ref: 'read r1 3', room_id: 'r1', seq: 3 },
  ]);
  bench.socket.tell({ op: 'ok', ref: 'read r1 3' });
  await bench.settled();
  expect((await bench.store.load()).saved.reads).toEqual({});
});

test('edits, deletions and reactions are asked over the socket', async () => {
  await bench.live();
  const edit = bench.calls.edit('r1', 2, 'better');
  const erase = bench.calls.erase('r1', 1);
  const react = bench.calls.react('r1', 2, '👍', true);
  const unreact = bench.calls.react('r1', 2, '👍', false);
  const asked = bench.socket.sent.filter((f) => String(f.ref).startsWith('ask '));
  expect(asked).toMatchObject([
    { op: 'edit', room_id: 'r1', seq: 2, text: 'better' },
    { op: 'delete', room_id: 'r1', seq: 1 },
    { op: 'react', seq: 2, emoji: '👍' },
    { op: 'unreact', seq: 2, emoji: '👍' },
  ]);
  const [first, second, third] = asked;
  bench.socket.tell({ op: 'ok', ref: first?.ref });
  // Deleted already: as wished.
  bench.socket.tell({ op: 'error', ref: second?.ref, problem: { code: 'gone' } });
  bench.socket.tell({ op: 'error', ref: third?.ref, problem: { code: 'forbidden' } });
  await Promise.all([edit, erase]);
  await expect(react).rejects.toMatchObject({ problem: { code: 'forbidden' } });
  bench.socket.onclose?.({ code: 1006 });
  await expect(unreact).rejects.toMatchObject({ problem: { code: 'network' } });
});

test('a muted room is kept so', async () => {
  await bench.live();
  bench.answers['/v1/rooms/r1'] = {};
  await bench.calls.mute('r1', true);
  expect(bench.news.at(-1)?.rooms).toMatchObject([{ muted: true }]);
  expect((await bench.store.load()).rooms).toMatchObject([{ muted: true }]);
});

test('typing is said at most once in three seconds', async () => {
  await bench.live();
  for (let i = 0; i < 5; i++) await bench.calls.typing('r1');
  bench.clock.pass(3000);
  await bench.calls.typing('r1');
  expect(bench.socket.ops('typing')).toHaveLength(2);
});

test('a message of an unknown room brings the room', async () => {
  await bench.live();
  bench.answers['/v1/rooms?limit=20'] = { rooms: [entry('r5', { last_seq: 1, unread: 1 })] };
  await bench.event('c1', message(1, { room_id: 'r5' }));
  await vi.waitFor(() => expect(bench.engine.world?.rooms.get('r5')?.unread).toBe(1));
});

test('signing out leaves nothing behind', async () => {
  await bench.live();
  await bench.event('c1', message(3));
  bench.answers['/v1/sessions/current'] = {};
  await bench.calls.signOut();
  expect(bench.news.at(-1)).toMatchObject({ whole: true, auth: { state: 'out' }, rooms: [] });
  expect(await bench.store.load()).toMatchObject({ saved: {}, rooms: [], users: [], outbox: [] });
  expect(await bench.store.messages('r1', 0, 99)).toEqual([]);
});

test('a revoked device keeps nothing; an expired session keeps what waits', async () => {
  await bench.live();
  await bench.calls.send('r1', 'later');
  bench.socket.onclose?.({ code: 4500 });
  await bench.settled();
  expect(bench.news.at(-1)?.auth).toEqual({ state: 'out', reason: 'unauthenticated' });
  expect((await bench.store.load()).outbox).toHaveLength(1);
  await bench.engine.begin(me, 'd2');
  await bench.live();
  expect(bench.socket.ops('send')).toHaveLength(1);
  bench.socket.tell({
    op: 'event',
    cursor: 'c2',
    event: { type: 'session_revoked', device_id: 'd1' },
  });
  await vi.waitFor(() => expect(bench.engine.auth).toEqual({ state: 'out', reason: 'revoked' }));
  expect((await bench.store.load()).outbox).toEqual([]);
});

test('another account signs in: nothing of the first is left', async () => {
  await bench.live();
  await bench.event('c1', message(3));
  const other = { id: 'ann', username: 'ann', name: 'Ann' };
  bench.answers['/v1/rooms?limit=100'] = { rooms: [] };
  await bench.engine.begin(other, 'd9');
  expect(bench.engine.world?.rooms.size).toBe(0);
  expect(await bench.store.messages('r1', 0, 99)).toEqual([]);
});
