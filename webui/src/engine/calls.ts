import type { Contact, Device, Me, Member, Message, Room, Session, User } from '../wire';
import { problemOf } from './api';
import type { OutboxItem } from './db';
import type { Engine } from './engine';
import { loadPage } from './history';
import type { Calls } from './port';
import type { Roster } from './roster';
import { uuidv7 } from './uuid';
import { Outcome } from './world';

const TYPING_EVERY_MS = 3000;

/** What tabs may ask, carried out. */
export function makeCalls(engine: Engine, roster: Roster): Calls {
  const { api, store, clock } = engine.deps;
  const typed = new Map<string, number>();
  let order = 0;

  const publish = (fill: (out: Outcome) => void) =>
    engine.serial(async () => {
      const out = new Outcome();
      fill(out);
      await engine.publish(out);
    });

  async function put(item: OutboxItem): Promise<void> {
    await store.commit({ outbox: [item] });
    engine.deps.tell({ outbox: [item] });
    engine.outbox.flush();
  }

  /** The room's id, once the tabs have been told of the room. */
  async function enterRoom(room: Room): Promise<string> {
    if (!engine.world?.rooms.has(room.id)) await roster.learnRooms([room.id], room);
    await engine.serial(async () => {});
    return room.id;
  }

  return {
    async signUp({ username, password, name, device_name }) {
      const body = { username, password, device_name, ...(name ? { name } : {}) };
      await engine.beginSession(await api.send<Session>('POST', '/v1/accounts', body));
    },
    async signIn({ username, password, device_name }) {
      const body = { username, password, device_name };
      await engine.beginSession(await api.send<Session>('POST', '/v1/sessions', body));
    },
    async signOut() {
      try {
        await api.send('DELETE', '/v1/sessions/current');
      } catch (error) {
        if (problemOf(error).code !== 'unauthenticated') throw error;
      }
      await engine.signedOut();
    },

    async send(room, text, replyTo) {
      const world = engine.world;
      if (!world) throw new Error('nobody is signed in');
      const at = engine.serverNow();
      order = Math.max(order, world.outbox.at(-1)?.n ?? 0) + 1;
      const item: OutboxItem = { client_id: uuidv7(at), room_id: room, text, at, n: order };
      if (replyTo) item.reply_to = replyTo;
      world.outbox.push(item);
      typed.delete(room);
      await put(item);
      return item.client_id;
    },
    async retry(clientId) {
      const item = engine.world?.outbox.find((i) => i.client_id === clientId);
      if (!item) return;
      delete item.failed;
      await put(item);
    },
    discard: (clientId) => publish((out) => engine.world?.settle(clientId, out)),

    edit: (room_id, seq, text) => engine.requests.ask({ op: 'edit', room_id, seq, text }),
    async erase(room_id, seq) {
      try {
        await engine.requests.ask({ op: 'delete', room_id, seq });
      } catch (error) {
        // Somebody was faster, or this was asked before.
        if (problemOf(error).code !== 'gone') throw error;
      }
    },
    react: (room_id, seq, emoji, on) =>
      engine.requests.ask({ op: on ? 'react' : 'unreact', room_id, seq, emoji }),
    async mute(room, muted) {
      await api.send('PATCH', `/v1/rooms/${room}`, { muted });
      await publish((out) => {
        const entry = engine.world?.rooms.get(room);
        if (entry) engine.world?.put({ ...entry, muted }, out);
      });
    },

    async page(room, where, limit) {
      const last = engine.world?.rooms.get(room)?.last_seq ?? 0;
      const fresh = where.around === undefined && roster.isStale(room);
      const page = await loadPage(store, api, room, where, limit, last, fresh);
      roster.learnUsers(page.messages.map((m) => m.sender_id));
      return page;
    },
    async one(room, seq) {
      const [kept] = await store.messages(room, seq, seq);
      if (kept) return kept;
      const page = await loadPage(store, api, room, { around: seq }, 1, seq, true);
      return page.messages.find((m: Message) => m.seq === seq);
    },
    async read(room, seq) {
      const world = engine.world;
      const entry = world?.rooms.get(room);
      if (!world || !entry || seq <= entry.read_seq) return;
      engine.reads.set(room, seq);
      await publish((out) => world.read(room, world.me.id, seq, out));
      await store.commit({ meta: { reads: Object.fromEntries(engine.reads) } });
      engine.link.send({ op: 'read', ref: `read ${room} ${seq}`, room_id: room, seq });
    },
    async typing(room) {
      const now = clock.now();
      if (now - (typed.get(room) ?? 0) < TYPING_EVERY_MS) return;
      if (engine.link.send({ op: 'typing', room_id: room })) typed.set(room, now);
    },
    keepDraft: (room, text, replyTo) => engine.drafts.keep(room, text, replyTo),
    async tellDraft(room) {
      engine.drafts.tell(room);
    },
    open: (room) => roster.open(room),

    async findPeople(query) {
      const q = new URLSearchParams({ query, limit: '20' });
      return (await api.get<{ users: User[] }>(`/v1/users?${q}`)).users;
    },
    async createDirect(user) {
      const room = await api.send<Room>('POST', '/v1/rooms', { kind: 'direct', user_id: user });
      return enterRoom(room);
    },
    async createGroup(name, members, history) {
      const body = { kind: 'group', name, member_ids: members, history };
      return enterRoom(await api.send<Room>('POST', '/v1/rooms', body));
    },
    async rename(room, name) {
      await api.send('PATCH', `/v1/rooms/${room}`, { name });
    },
    async setHistory(room, history) {
      await api.send('PATCH', `/v1/rooms/${room}`, { history });
    },
    members: (room) => roster.learnMembers(room) as Promise<Member[]>,
    async addMember(room, user) {
      await api.send('PUT', `/v1/rooms/${room}/members/${user}`, { role: 'member' });
      await roster.learnMembers(room);
    },
    async removeMember(room, user) {
      await api.send('DELETE', `/v1/rooms/${room}/members/${user}`);
      if (user !== engine.world?.me.id) await roster.learnMembers(room);
      else await publish((out) => engine.world?.apply({ type: 'room_left', room_id: room }, out));
    },
    async setRole(room, user, role) {
      await api.send('PATCH', `/v1/rooms/${room}/members/${user}`, { role });
      await roster.learnMembers(room);
    },

    people: () => roster.learnPeople(),
    async befriend(user) {
      const contact = await api.send<Contact>('PUT', `/v1/contacts/${user}`);
      await publish((out) => engine.world?.contact(contact, out));
    },
    async unfriend(user) {
      await api.send('DELETE', `/v1/contacts/${user}`);
      const known = engine.world?.contacts.get(user);
      if (known) await publish((out) => engine.world?.contact({ ...known, state: 'none' }, out));
    },
    async block(user, on) {
      await api.send(on ? 'PUT' : 'DELETE', `/v1/blocks/${user}`);
      await publish((out) => engine.world?.block(user, on, out));
      // What a block took away or an unblock brings back comes as news too.
      await roster.learnPeople();
    },
    async updateMe(change) {
      const me = await api.send<Me>('PATCH', '/v1/me', change);
      await publish((out) => {
        const world = engine.world;
        if (!world) return;
        world.user({ ...world.me, ...me }, out);
        world.me = { ...world.me, ...me };
        out.me = world.me;
      });
    },
    async setPassword(old_password, new_password) {
      await api.send('PUT', '/v1/me/password', { old_password, new_password });
    },
    async devices() {
      const got = await api.get<{ sessions?: Device[]; devices?: Device[] }>('/v1/sessions');
      return got.sessions ?? got.devices ?? [];
    },
    async revoke(device) {
      await api.send('DELETE', `/v1/sessions/${device}`);
    },
    async hurry() {
      if (engine.link.phase === 'stopped' && engine.auth.state === 'in') engine.link.start();
      else engine.link.hurry();
    },
  };
}
