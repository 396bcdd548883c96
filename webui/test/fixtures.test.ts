// The same fixtures that the Go tests hold the server to.
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Outcome, World } from '../src/engine/world';
import type { Problem, RoomEntry, ServerFrame } from '../src/wire';
import { me } from './things';

const DIR = '../wire/testdata';
const read = (name: string) => JSON.parse(readFileSync(`${DIR}/${name}`, 'utf8'));
const frames = readdirSync(DIR).filter((name) => name.startsWith('server.'));

const OPS = new Set<ServerFrame['op']>([
  'welcome',
  'event',
  'events',
  'synced',
  'reset',
  'sent',
  'ok',
  'pong',
  'presence',
  'typing',
  'delivered',
  'error',
  'move',
]);

test('there are fixtures, and every op in them is one that we know', () => {
  expect(frames.length).toBeGreaterThan(15);
  for (const name of frames) expect(OPS, name).toContain(read(name).op);
});

test.each(frames.filter((name) => name.includes('event')))('%s is understood', (name) => {
  const world = new World({ ...me, id: 'u1' });
  world.list(
    (read('object.rooms.json').rooms as RoomEntry[]).map((e) => structuredClone(e)),
    new Outcome(),
  );
  const frame = read(name);
  const out = new Outcome();
  world.drafts.set('d1', { room_id: 'd1', text: 'begun' });
  for (const { event } of frame.events ?? [frame]) world.apply(event, out);
  const touched =
    out.rooms.size +
    out.messages.length +
    out.dropRooms.size +
    out.unknownRooms.size +
    out.users.size +
    out.revoked.size +
    out.drafts.size +
    Number(out.contacts) +
    Number(out.me !== undefined);
  expect(touched).toBeGreaterThan(0);
});

test('the room list', () => {
  const world = new World({ ...me, id: 'u1' });
  world.list(read('object.rooms.json').rooms, new Outcome());
  expect(world.rooms.get('d1')).toMatchObject({ last_seq: 4, read_seq: 3, unread: 1 });
  expect(world.users.get('u2')?.name).toBe('Joon');
});

test('a problem', () => {
  const problem: Problem = read('object.problem.json');
  expect(problem).toMatchObject({ code: 'clock_ahead', field: 'client_id', status: 400 });
});
