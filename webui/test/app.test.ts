import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { app } from '../src/lib/app.svelte';
import { pageTitle, peerOf, preview, problemText, roomName, systemText } from '../src/lib/names';
import { prefs } from '../src/lib/prefs.svelte';
import { entry, item, me, message } from './things';

beforeEach(() => {
  vi.useFakeTimers();
  prefs.setLanguage('en');
  const users = ['tom', 'ann'].map((id) => ({ id, username: id, name: id.toUpperCase() }));
  app.receive({
    whole: true,
    auth: { state: 'in' },
    me,
    users: [me, ...users],
    rooms: [entry('r1')],
  });
});
afterEach(() => {
  vi.useRealTimers();
});

const direct = () => app.rooms.get('r1') ?? entry('r1');
const system = (action: string, more = {}) =>
  systemText(
    message(1, {
      kind: 'system',
      sender_id: 'tom',
      system: { action, user_ids: [], ...more } as never,
    }),
  );

test('a direct room has the name of the other', () => {
  expect(peerOf(direct().room)?.id).toBe('tom');
  expect(roomName(direct().room)).toBe('TOM');
});

test('the line in the list', () => {
  const line = (more: object) => preview({ ...direct(), last_message: message(1, more) });
  expect(line({ text: 'hi' })).toBe('hi');
  expect(line({ text: 'hi', sender_id: 'me' })).toBe('You: hi');
  expect(line({ text: '', deleted_at: 'then' })).toBe('This message was deleted');
  app.receive({ outbox: [item('c1', 1, { text: 'wait' })] });
  expect(line({ text: 'hi' })).toBe('Sending: wait');
  app.receive({ outbox: [item('c1', 1, { text: 'wait', failed: { code: 'forbidden' } })] });
  expect(line({ text: 'hi' })).toBe('Not sent: wait');
});

test('system messages, in both languages', () => {
  expect(system('created', { name: 'Hikers' })).toBe('TOM created the group “Hikers”');
  expect(system('joined', { user_ids: ['ann'] })).toBe('TOM added ANN');
  expect(system('joined', { user_ids: ['tom'] })).toBe('TOM joined');
  expect(system('left', { user_ids: ['tom'] })).toBe('TOM left');
  expect(system('role', { user_ids: ['ann'], role: 'admin' })).toBe('TOM made ANN an admin');
  expect(system('history', { name: 'all' })).toBe(
    'TOM lets people who join see all earlier messages',
  );
  expect(system('history', { name: 'joined' })).toMatch(/only what is said from then on$/);
  prefs.setLanguage('ko');
  expect(system('removed', { user_ids: ['ann'] })).toBe('TOM님이 ANN님을 내보냈습니다');
  expect(system('something new')).toBe('그룹 정보가 바뀌었습니다');
});

test('refusals are told by field and code, never in the server’s words', () => {
  expect(problemText({ code: 'conflict', field: 'username', detail: 'x' })).toMatch(
    /^This username is taken/,
  );
  expect(problemText({ code: 'too_large', limit: 8000 })).toBe(
    'This is too long. The limit is 8,000.',
  );
  expect(problemText({ code: 'forbidden', field: 'seq', limit: 900_000 })).toBe(
    'A message can only be edited for 15 minutes after it was sent.',
  );
  expect(problemText({ code: 'teapot', detail: 'x' })).toBe('That did not work (teapot).');
});

test('typing ends by itself after six seconds, or with the message', () => {
  const typing = () => app.receive({ typing: { room_id: 'r1', user_id: 'tom' } });
  typing();
  vi.advanceTimersByTime(4000);
  typing();
  vi.advanceTimersByTime(5999);
  expect(app.typing).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(app.typing).toEqual([]);
  typing();
  app.receive({ fresh: [message(2)] });
  expect(app.typing).toEqual([]);
});

test('rooms by their last activity; the title counts what is not muted', () => {
  const late = message(9, { room_id: 'r2', created_at: '2027-01-01T00:00:00.000Z' });
  app.receive({
    rooms: [
      entry('r2', { last_message: late, unread: 2 }),
      entry('r3', { unread: 5, muted: true }),
      entry('r4', { unread: 1 }),
    ],
  });
  expect(app.ordered[0]?.room.id).toBe('r2');
  expect(app.unread).toBe(3);
});

test('the title: a mention counts even where it is muted', () => {
  const title = (...rooms: ReturnType<typeof entry>[]) => {
    app.receive({ rooms });
    return pageTitle();
  };
  expect(title()).toBe('natter');
  expect(title(entry('r3', { unread: 5, muted: true }))).toBe('natter');
  expect(title(entry('r3', { unread: 5, muted: true, mention_seq: 4 }))).toBe('(@) natter');
  expect(title(entry('r4', { unread: 2 }))).toBe('(@2) natter');
});
