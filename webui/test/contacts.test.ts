import { IDBFactory } from 'fake-indexeddb';
import 'fake-indexeddb/auto';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ApiError } from '../src/engine/api';
import { app } from '../src/lib/app.svelte';
import { contactsOf, stateOf, tried } from '../src/lib/contacts.svelte';
import { presenceText } from '../src/lib/names';
import { prefs } from '../src/lib/prefs.svelte';
import { toast } from '../src/lib/toast.svelte';
import type { Contact } from '../src/wire';
import { Bench } from './bench';

const person = (id: string) => ({ id, username: id, name: id.toUpperCase() });
const contact = (id: string, state: Contact['state'], since = '1'): Contact => ({
  user: person(id),
  state,
  since,
});
let bench: Bench;

beforeEach(async () => {
  prefs.setLanguage('en');
  vi.stubGlobal('indexedDB', new IDBFactory());
  bench = new Bench();
  bench.answers['/v1/contacts'] = { contacts: [contact('ann', 'friend')] };
  bench.answers['/v1/blocks'] = { blocks: [{ user: person('eve'), since: '1' }] };
  await bench.start();
  await bench.live();
});
afterEach(() => bench.close());

const known = () => [...(bench.engine.world?.contacts.values() ?? [])].map((c) => c.state);

test('learned once, kept over a restart, then told by events', async () => {
  await vi.waitFor(() => expect(known()).toEqual(['friend']));
  await bench.close();
  const next = new Bench();
  Object.assign(next.answers, bench.answers);
  bench = next;
  await bench.start();
  expect(bench.news[0]).toMatchObject({ contacts: [{ state: 'friend' }], blocks: ['eve'] });
  await bench.live();
  expect(bench.gets).not.toContain('/v1/contacts');
  const event = { type: 'contact', contact: contact('tom', 'incoming') };
  bench.socket.tell({ op: 'event', cursor: 'c1', event });
  await bench.settled();
  expect(known()).toEqual(['friend', 'incoming']);
  expect(bench.news.at(-1)?.contacts).toHaveLength(2);
});

test('friends are watched, as soon as they are', async () => {
  const watched = () => bench.socket.ops('watch').at(-1)?.user_ids as string[];
  await vi.waitFor(() => expect(watched()).toContain('ann'));
  const event = { type: 'contact', contact: contact('joe', 'friend') };
  bench.socket.tell({ op: 'event', cursor: 'c1', event });
  await vi.waitFor(() => expect(watched()).toContain('joe'));
});

test('asking and removing hold at once', async () => {
  bench.answers['/v1/contacts/tom'] = contact('tom', 'outgoing');
  await bench.calls.befriend('tom');
  expect(bench.engine.world?.contacts.get('tom')?.state).toBe('outgoing');
  await bench.calls.unfriend('tom');
  expect(bench.engine.world?.contacts.has('tom')).toBe(false);
});

test('a block takes effect at once, and what it took away is asked for', async () => {
  bench.answers['/v1/blocks/ann'] = {};
  bench.answers['/v1/contacts'] = { contacts: [] };
  bench.answers['/v1/blocks'] = { blocks: [{ user: person('ann'), since: '2' }] };
  await bench.calls.block('ann', true);
  expect(known()).toEqual([]);
  expect([...(bench.engine.world?.blocks ?? [])]).toEqual(['ann']);
});

test('a tab: how people stand, in which order, and blocked ones have no presence', () => {
  const contacts = [
    contact('zoe', 'friend'),
    contact('ann', 'friend'),
    contact('old', 'incoming', '1'),
    contact('new', 'incoming', '2'),
  ];
  app.receive({ whole: true, contacts, blocks: ['eve'] });
  app.receive({ presence: [{ user_id: 'eve', status: 'online' }] });
  expect(contactsOf('friend').map((u) => u.id)).toEqual(['ann', 'zoe']);
  expect(contactsOf('incoming').map((u) => u.id)).toEqual(['new', 'old']);
  expect(app.asking).toBe(2);
  expect([stateOf(person('eve')), stateOf(person('joe'))]).toEqual(['blocked', 'none']);
  expect(presenceText(person('eve'))).toBe('Blocked');
  app.receive({ blocks: [] });
  expect(presenceText(person('eve'))).toBe('Online');
});

test('who declined lately is not a matter of a moment', async () => {
  const refuse = (retry_after_ms: number) =>
    tried(() => Promise.reject(new ApiError({ code: 'too_many', retry_after_ms })));
  await refuse(86_400_000);
  expect(toast.said?.text).toMatch(/^They have declined/);
  await refuse(30_000);
  expect(toast.said?.text).toMatch(/^Too many/);
  toast.close();
});
