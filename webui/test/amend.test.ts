import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ApiError } from '../src/engine/api';
import { Requests } from '../src/engine/requests';
import { Outcome, World } from '../src/engine/world';
import { mayDelete, mayEdit } from '../src/lib/actions';
import { app } from '../src/lib/app.svelte';
import { toggle, withWanted } from '../src/lib/reactions.svelte';
import { toast } from '../src/lib/toast.svelte';
import type { ClientFrame } from '../src/wire';
import { entry, me, message, TestClock } from './things';

const clock = new TestClock();
let put: ClientFrame[] = [];
let there = true;
let requests: Requests;

beforeEach(() => {
  vi.useFakeTimers();
  localStorage.clear();
  put = [];
  there = true;
  requests = new Requests((frame) => there && put.push(frame) > 0, clock);
  app.receive({ whole: true, auth: { state: 'in' }, me, rooms: [entry('r1')] });
});
afterEach(() => {
  vi.useRealTimers();
});

const refOf = (at: number) => String(put[at]?.ref);
const edit = () => requests.ask({ op: 'edit', room_id: 'r1', seq: 3, text: 'x' });

test('a request is answered by its ref, with ok or a problem', async () => {
  const [first, second] = [edit(), edit()];
  requests.answer(refOf(1), { code: 'gone' });
  requests.answer(refOf(0));
  requests.answer('somebody else’s');
  await first;
  await expect(second).rejects.toMatchObject({ problem: { code: 'gone' } });
});

test('no connection, a lost one, and silence all say so', async () => {
  const lost = { problem: { code: 'network' } };
  there = false;
  await expect(edit()).rejects.toMatchObject(lost);
  there = true;
  const cut = expect(edit()).rejects.toMatchObject(lost);
  requests.lost();
  await cut;
  const silent = expect(edit()).rejects.toMatchObject(lost);
  clock.pass(15_000);
  await silent;
});

const reactionsOf = (m = message(3)) =>
  withWanted(m).reactions?.map((r) => `${r.emoji} ${r.user_ids}`) ?? [];

test('a reaction stands at once and stays when the news says the same', async () => {
  app.calls = { react: () => Promise.resolve() } as never;
  const toms = message(3, { reactions: [{ emoji: '👍', user_ids: ['tom'] }] });
  await toggle(toms, '👍');
  await toggle(toms, '🙏');
  expect(reactionsOf(toms)).toEqual(['👍 tom,me', '🙏 me']);
  const both = message(3, {
    reactions: [
      { emoji: '👍', user_ids: ['me', 'tom'] },
      { emoji: '🙏', user_ids: ['me'] },
    ],
  });
  app.receive({ messages: [both] });
  expect(withWanted(both)).toBe(both);
  await toggle(both, '👍');
  expect(reactionsOf(both)).toEqual(['👍 tom', '🙏 me']);
  app.receive({ messages: [toms] });
  expect(withWanted(toms)).toBe(toms);
});

test('a refused reaction is taken back, with the reason', async () => {
  app.calls = { react: () => Promise.reject(new ApiError({ code: 'forbidden' })) } as never;
  const going = toggle(message(3), '👍');
  expect(reactionsOf()).toEqual(['👍 me']);
  await going;
  expect(reactionsOf()).toEqual([]);
  expect(toast.said).toMatchObject({ bad: true });
  vi.advanceTimersByTime(5000);
  expect(toast.said).toBeUndefined();
});

test('who may edit and delete what', () => {
  const own = message(3, { sender_id: 'me' });
  expect([mayEdit(own), mayEdit(message(3))]).toEqual([true, false]);
  expect(mayEdit({ ...own, deleted_at: 'then' })).toBe(false);
  const direct = entry('r1');
  const group = (role: 'owner' | 'admin' | 'member') =>
    entry('r1', { room: { ...direct.room, kind: 'group', role } });
  expect(mayDelete(own, group('member'))).toBe(true);
  expect(mayDelete(message(3), direct)).toBe(false);
  expect(mayDelete(message(3), group('member'))).toBe(false);
  expect(mayDelete(message(3), group('admin'))).toBe(true);
  expect(mayDelete(message(3, { kind: 'system' }), group('owner'))).toBe(false);
});

test('after the window Edit is not offered, by the server’s clock', () => {
  const sent = Date.parse('2026-11-22T10:00:00.000Z');
  const own = message(3, { sender_id: 'me', created_at: new Date(sent).toISOString() });
  app.receive({ limits: { edit_window_ms: 60_000 }, clock_offset: -3_600_000 });
  vi.setSystemTime(sent + 3_600_000 + 60_000);
  expect(mayEdit(own)).toBe(true);
  vi.setSystemTime(sent + 3_600_000 + 60_001);
  expect(mayEdit(own)).toBe(false);
  app.receive({ limits: { edit_window_ms: 0 } });
  expect(mayEdit(own)).toBe(true);
});

test('a room event that changes nothing to see was a mute: the list is asked', () => {
  const world = new World(me);
  const known = entry('r1');
  world.rooms.set('r1', known);
  const out = new Outcome();
  world.apply({ type: 'room', room: { ...known.room, name: 'New' } }, out);
  expect([...out.unknownRooms]).toEqual([]);
  world.apply({ type: 'room', room: { ...known.room, name: 'New' } }, out);
  expect([...out.unknownRooms]).toEqual(['r1']);
  world.entry({ ...known, muted: true }, out);
  expect(world.rooms.get('r1')?.muted).toBe(true);
});
