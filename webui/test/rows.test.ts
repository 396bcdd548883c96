import { expect, test } from 'vitest';
import { buildRows, type Row } from '../src/lib/rows';
import { item, message } from './things';

const short = (rows: Row[]) =>
  rows.map((row) => {
    if (row.type !== 'message') return row.type;
    return `${row.own ? 'me' : 'they'}${row.first ? '[' : ''}${row.last ? ']' : ''}`;
  });

test('a run of one person within five minutes is one group', () => {
  const rows = buildRows({
    me: 'me',
    outbox: [],
    messages: [
      message(1, { sender_id: 'a', created_at: '2026-11-22T10:00:00.000Z' }),
      message(2, { sender_id: 'a', created_at: '2026-11-22T10:04:00.000Z' }),
      message(3, { sender_id: 'a', created_at: '2026-11-22T10:10:00.000Z' }),
      message(4, { sender_id: 'me', created_at: '2026-11-22T10:10:01.000Z' }),
    ],
  });
  expect(short(rows)).toEqual(['day', 'they[', 'they]', 'they[]', 'me[]']);
});

test('days, the unread line, system messages and answers break a run', () => {
  const rows = buildRows({
    me: 'me',
    outbox: [],
    unreadFrom: 3,
    messages: [
      message(1, { created_at: '2026-11-20T10:00:00.000Z' }),
      message(2, { created_at: '2026-11-22T10:00:00.000Z' }),
      message(3, { created_at: '2026-11-22T10:00:01.000Z' }),
      message(4, { kind: 'system', created_at: '2026-11-22T10:00:02.000Z' }),
      message(5, { created_at: '2026-11-22T10:00:03.000Z' }),
      message(6, { reply_to: 1, created_at: '2026-11-22T10:00:04.000Z' }),
    ],
  });
  expect(short(rows)).toEqual([
    'day',
    'they[]',
    'day',
    'they[]',
    'unread',
    'they[]',
    'system',
    'they[]',
    'they[]',
  ]);
});

test('a sent message keeps its key from the outbox to its place, and stands once', () => {
  const waiting = item('c1', 1);
  const before = buildRows({ me: 'me', outbox: [waiting], messages: [] });
  const settled = message(7, { sender_id: 'me', client_id: 'c1' });
  const between = buildRows({ me: 'me', outbox: [waiting], messages: [settled] });
  const after = buildRows({ me: 'me', outbox: [], messages: [settled] });
  const key = (rows: Row[]) => rows.filter((r) => r.type === 'message').map((r) => r.key);
  expect(key(before)).toEqual(['c1']);
  expect(key(between)).toEqual(['c1']);
  expect(key(after)).toEqual(['c1']);
});

test('what waits comes after everything that has a seq, in the order it was sent', () => {
  const rows = buildRows({
    me: 'me',
    outbox: [item('c1', 1), item('c2', 2)],
    messages: [message(9, { created_at: '2027-01-01T00:00:00.000Z' })],
  });
  expect(rows.filter((r) => r.type === 'message').map((r) => r.key)).toEqual(['seq 9', 'c1', 'c2']);
});
