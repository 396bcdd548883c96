import { beforeEach, expect, test } from 'vitest';
import { Outcome, World } from '../src/engine/world';
import { entry, item, me, member, message } from './things';

let world: World;
let out: Outcome;

beforeEach(() => {
  world = new World(me);
  out = new Outcome();
  world.list([entry('r1', { last_seq: 5, read_seq: 3, unread: 2 })], out);
  out = new Outcome();
});

const room = (id = 'r1') => world.rooms.get(id);

test('a message raises the room and its unread count', () => {
  world.apply({ type: 'message', message: message(6) }, out);
  expect(room()).toMatchObject({ last_seq: 6, read_seq: 3, unread: 3 });
  expect(room()?.last_message?.seq).toBe(6);
  expect(out.fresh).toHaveLength(1);
});

test('the same message again changes nothing and is not news', () => {
  world.apply({ type: 'message', message: message(6) }, out);
  const before = room();
  out = new Outcome();
  world.apply({ type: 'message', message: message(6) }, out);
  expect(room()).toEqual(before);
  expect(out.fresh).toEqual([]);
});

test('one of ours moves our mark; an older one that comes after does not move it back', () => {
  world.apply({ type: 'message', message: message(9, { sender_id: 'me' }) }, out);
  world.apply({ type: 'message', message: message(8) }, out);
  expect(room()).toMatchObject({ last_seq: 9, read_seq: 9, unread: 0 });
  expect(room()?.last_message?.seq).toBe(9);
});

test('whoever writes has read', () => {
  world.apply({ type: 'message', message: message(6) }, out);
  expect(room()?.room.members?.find((m) => m.user.id === 'tom')?.read_seq).toBe(6);
});

test('read marks only move forward', () => {
  world.apply({ type: 'read', room_id: 'r1', user_id: 'tom', seq: 5 }, out);
  world.apply({ type: 'read', room_id: 'r1', user_id: 'tom', seq: 4 }, out);
  world.apply({ type: 'read', room_id: 'r1', user_id: 'me', seq: 5 }, out);
  expect(room()?.room.members?.map((m) => m.read_seq)).toEqual([5, 5]);
  expect(room()).toMatchObject({ read_seq: 5, unread: 0 });
});

test('our own message empties its place in the outbox', () => {
  world.outbox = [item('c1', 1), item('c2', 2)];
  world.apply({ type: 'message', message: message(6, { sender_id: 'me', client_id: 'c1' }) }, out);
  expect(world.outbox.map((i) => i.client_id)).toEqual(['c2']);
  expect([...out.dropOutbox]).toEqual(['c1']);
});

test('an id like ours from somebody else is nothing to us', () => {
  world.outbox = [item('c1', 1)];
  world.apply({ type: 'message', message: message(6, { client_id: 'c1' }) }, out);
  expect(world.outbox).toHaveLength(1);
});

test('an edit of the newest message shows in the list, of an older one does not', () => {
  world.apply({ type: 'message', message: message(6) }, out);
  world.apply({ type: 'message_edited', message: message(2, { text: 'old' }) }, out);
  expect(room()?.last_message?.text).toBe('text 6');
  world.apply(
    { type: 'message_deleted', message: message(6, { text: '', deleted_at: 'now' }) },
    out,
  );
  expect(room()?.last_message?.deleted_at).toBe('now');
  expect(room()?.unread).toBe(3);
});

test('a message or a change of a room we do not know makes us ask', () => {
  world.apply({ type: 'message', message: message(1, { room_id: 'r9' }) }, out);
  world.apply({ type: 'room', room: entry('r8').room }, out);
  expect([...out.unknownRooms]).toEqual(['r9', 'r8']);
});

test('members come, go and change roles', () => {
  const base = { type: 'member', room_id: 'r1', member_count: 3 } as const;
  world.apply({ ...base, user_id: 'ann', change: 'joined' }, out);
  expect([...out.staleMembers]).toEqual(['r1']);
  world.members('r1', [member('me'), member('tom', 2), member('ann')], out);
  world.apply({ ...base, user_id: 'me', change: 'role', role: 'admin' }, out);
  expect(room()?.room.role).toBe('admin');
  world.apply({ ...base, user_id: 'ann', change: 'left', member_count: 2 }, out);
  expect(room()?.room.members?.map((m) => m.user.id)).toEqual(['me', 'tom']);
  expect(room()?.room.member_count).toBe(2);
});

test('a room event without members keeps those we know, and their read marks', () => {
  world.members('r1', [member('me'), member('tom', 4)], out);
  const { members: _, ...bare } = entry('r1').room;
  world.apply({ type: 'room', room: { ...bare, name: 'New' } }, out);
  expect(room()?.room.name).toBe('New');
  expect(room()?.room.members?.map((m) => m.read_seq)).toEqual([0, 4]);
});

test('a list from the server drops what is gone and does not take our read mark back', () => {
  world.read('r1', 'me', 5, out);
  world.list([entry('r1', { last_seq: 5, read_seq: 3, unread: 2 }), entry('r2')], out);
  expect(room()?.unread).toBe(0);
  world.list([entry('r2')], out);
  expect([...world.rooms.keys()]).toEqual(['r2']);
  expect([...out.dropRooms]).toEqual(['r1']);
});

test('who joined late has nothing unread from before', () => {
  world.entry(entry('r3', { last_seq: 100, read_seq: 0, unread: 2 }), out);
  expect(room('r3')).toMatchObject({ read_seq: 98, unread: 2 });
});

test('a new name shows in every room; a nameless user does not erase a known one', () => {
  world.apply({ type: 'profile', user: { id: 'tom', username: 'tom', name: 'Thomas' } }, out);
  world.user({ id: 'tom', username: '', name: '' }, out);
  expect(room()?.room.members?.[1]?.user.name).toBe('Thomas');
});

test('our own profile and settings', () => {
  world.apply({ type: 'profile', user: { ...me, name: 'Maya C' } }, out);
  world.apply({ type: 'settings', locale: 'ko' }, out);
  expect(world.me).toMatchObject({ name: 'Maya C', locale: 'ko' });
});

test('left', () => {
  world.apply({ type: 'room_left', room_id: 'r1' }, out);
  expect(out.change(world, 'c9')).toMatchObject({
    dropRooms: ['r1'],
    rooms: [],
    meta: { cursor: 'c9' },
  });
});

const called = (seq: number, more: object = {}) => message(seq, { mentions: ['me'], ...more });

test('a mention is kept until it is read', () => {
  world.apply({ type: 'message', message: called(6) }, out);
  world.apply({ type: 'message', message: message(7) }, out);
  expect(room()?.mention_seq).toBe(6);
  world.read('r1', 'me', 6, out);
  expect(room()).not.toHaveProperty('mention_seq');
  expect(room()?.unread).toBe(1);
});

test('nobody mentions themselves, or what is read', () => {
  world.apply({ type: 'message', message: called(6, { sender_id: 'me' }) }, out);
  expect(room()?.mention_seq).toBeUndefined();
  world.apply({ type: 'message_edited', message: called(2) }, out);
  world.mentions([called(3), called(5, { deleted_at: 'then' })], out);
  expect(room()?.mention_seq).toBeUndefined();
});

test('an edit mentions, and takes the mention back; a deletion does too', () => {
  world.apply({ type: 'message', message: message(6) }, out);
  for (const take of [{}, { mentions: ['me'], deleted_at: 'then' }]) {
    world.apply({ type: 'message_edited', message: called(6) }, out);
    expect(room()?.mention_seq).toBe(6);
    world.apply({ type: 'message_edited', message: message(6, take) }, out);
    expect(room()?.mention_seq).toBeUndefined();
  }
});

test('a page of the past shows what the list could not; a list keeps it', () => {
  world.mentions([called(4), message(5)], out);
  expect(room()?.mention_seq).toBe(4);
  world.entry(entry('r1', { last_seq: 6, read_seq: 3, unread: 3 }), out);
  expect(room()).toMatchObject({ mention_seq: 4, unread: 3 });
});

const tom = { id: 'tom', username: 'tom', name: 'Tom' };

test('contacts and blocks: by lists and by events', () => {
  world.people(
    [{ user: tom, state: 'friend' }],
    [{ id: 'eve', username: 'eve', name: 'Eve' }],
    out,
  );
  expect(world.users.get('eve')?.name).toBe('Eve');
  expect(out.change(world).meta).toMatchObject({ contacts: [{ user: tom }], blocks: ['eve'] });
  world.apply({ type: 'contact', contact: { user: tom, state: 'none' } }, out);
  world.apply({ type: 'block', user_id: 'eve', blocked: false }, out);
  expect([world.contacts.size, world.blocks.size]).toEqual([0, 0]);
  out = new Outcome();
  world.apply({ type: 'block', user_id: 'ann', blocked: true }, out);
  expect([...out.unknownUsers]).toEqual(['ann']);
  expect(new Outcome().change(world).meta).not.toHaveProperty('blocks');
});
