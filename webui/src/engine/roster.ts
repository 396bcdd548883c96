import type { Contact, Limits, Member, Node, Page, Presence, Room, RoomEntry, User } from '../wire';
import type { Engine } from './engine';
import { emptyEntry } from './merge';
import { Outcome } from './world';

const WATCH_LIMIT = 200;
const PRESENCE_PAGE = 50;
/** Rooms, and messages of each, that are looked through for mentions after a list. */
const MENTION_ROOMS = 30;
const MENTION_PAGE = 100;

/**
 * Asks the server about rooms and people that events name without describing, and
 * keeps the watch list: whoever is in the room that was opened last, friends, and the
 * other side of every direct room.
 */
export class Roster {
  #engine: Engine;
  #known = new Set<string>();
  #asked = new Set<string>();
  #stale = new Set<string>();
  #opened: string | undefined;
  #watched = '';

  constructor(engine: Engine) {
    this.#engine = engine;
    engine.onLive = () => {
      this.#watched = '';
      void this.#watch();
      void this.#learnServer();
      if (!engine.world?.peopleKnown) void this.learnPeople().catch(() => {});
    };
    engine.onUnknown = (out) => {
      if (out.unknownRooms.size) void this.learnRooms([...out.unknownRooms]);
      for (const room of out.staleMembers) void this.learnMembers(room).catch(() => {});
      this.learnUsers(out.unknownUsers);
    };
    engine.onListed = () => {
      void this.#lookForMentions();
      void this.learnPeople().catch(() => {});
    };
    engine.onContacts = () => void this.#watch();
  }

  /** After a reset, edits of what we keep may have been missed. */
  distrust(): void {
    for (const id of this.#engine.world?.rooms.keys() ?? []) this.#stale.add(id);
    this.#known.clear();
  }

  isStale(room: string): boolean {
    return this.#stale.delete(room);
  }

  async open(room: string): Promise<void> {
    this.#opened = room;
    if (!this.#known.has(room)) await this.learnMembers(room).catch(() => {});
    await this.#watch();
  }

  async learnMembers(room: string): Promise<Member[]> {
    const { api } = this.#engine.deps;
    const { members } = await api.get<{ members: Member[] }>(`/v1/rooms/${room}/members`);
    this.#known.add(room);
    await this.#publish((out) => this.#engine.world?.members(room, members, out));
    return members;
  }

  /** Rooms are listed newest activity first, so the unknown are on the first page. */
  async learnRooms(ids: string[], made?: Room): Promise<void> {
    const { api } = this.#engine.deps;
    try {
      const { rooms } = await api.get<{ rooms: RoomEntry[] }>('/v1/rooms?limit=20');
      let found = rooms.filter((entry) => ids.includes(entry.room.id));
      if (found.length < ids.length && !made)
        found = (await this.#engine.allRooms()).filter((entry) => ids.includes(entry.room.id));
      if (!found.length && made) found = [emptyEntry(made)];
      await this.#publish((out) => {
        for (const entry of found) this.#engine.world?.entry(entry, out);
      });
      await this.#watch();
    } catch {
      // Offline: the next message of the room, or the next start, asks again.
    }
  }

  learnUsers(ids: Iterable<string>): void {
    for (const id of new Set(ids)) {
      if (!id || this.#asked.has(id) || this.#engine.world?.users.has(id)) continue;
      this.#asked.add(id);
      this.#engine.deps.api
        .get<User>(`/v1/users/${id}`)
        .then((user) => this.#publish((out) => this.#engine.world?.user(user, out)))
        .catch(() => this.#asked.delete(id));
    }
  }

  /** Inside the queue: an event that comes meanwhile is applied after the lists. */
  learnPeople(): Promise<void> {
    const { api } = this.#engine.deps;
    return this.#engine.serial(async () => {
      const [{ contacts }, { blocks }] = await Promise.all([
        api.get<{ contacts: Contact[] }>('/v1/contacts'),
        api.get<{ blocks: { user: User }[] }>('/v1/blocks'),
      ]);
      const out = new Outcome();
      const blocked = blocks.map((block) => block.user);
      this.#engine.world?.people(contacts, blocked, out);
      await this.#engine.publish(out);
    });
  }

  /** The newest unread of the rooms last active, one after another. */
  async #lookForMentions(): Promise<void> {
    const unread = [...(this.#engine.world?.rooms.values() ?? [])].filter((e) => e.unread > 0);
    for (const { room, last_seq, read_seq } of unread.slice(0, MENTION_ROOMS)) {
      const after = Math.max(read_seq, last_seq - MENTION_PAGE);
      try {
        const page = await this.#engine.deps.api.get<Page>(
          `/v1/rooms/${room.id}/messages?after=${after}&limit=${MENTION_PAGE}`,
        );
        await this.#publish((out) => this.#engine.world?.mentions(page.messages, out));
      } catch {
        // Offline: opening the room shows them.
      }
    }
  }

  /** The operator may have changed the limits or the cluster while we were away. */
  async #learnServer(): Promise<void> {
    const { api, store, tell } = this.#engine.deps;
    try {
      const { limits } = await api.get<{ limits: Limits }>('/v1/server');
      this.#engine.limits = limits;
      await store.commit({ meta: { limits } });
      tell({ limits });
      const { nodes } = await api.get<{ nodes: Node[] }>('/v1/nodes');
      await this.#engine.learnNodes(nodes);
    } catch {
      // What was known holds, and the server refuses what it must.
    }
  }

  #publish(fill: (out: Outcome) => void): Promise<void> {
    return this.#engine.serial(async () => {
      const out = new Outcome();
      fill(out);
      await this.#engine.publish(out);
    });
  }

  async #watch(): Promise<void> {
    const world = this.#engine.world;
    if (!world || this.#engine.link.phase !== 'live') return;
    const users = new Set<string>();
    const add = (entry: RoomEntry | undefined) => {
      for (const member of entry?.room.members ?? [])
        if (member.user.id !== world.me.id && users.size < WATCH_LIMIT) users.add(member.user.id);
    };
    if (this.#opened) add(world.rooms.get(this.#opened));
    for (const { user, state } of world.contacts.values())
      if (state === 'friend' && users.size < WATCH_LIMIT) users.add(user.id);
    for (const entry of world.rooms.values()) if (entry.room.kind === 'direct') add(entry);
    const list = [...users];
    const key = list.join();
    if (key === this.#watched) return;
    this.#watched = key;
    this.#engine.link.send({ op: 'watch', ref: 'watch', user_ids: list });
    for (let at = 0; at < list.length; at += PRESENCE_PAGE)
      await this.#ask(list.slice(at, at + PRESENCE_PAGE));
  }

  async #ask(users: string[]): Promise<void> {
    const query = new URLSearchParams(users.map((id) => ['user_id', id]));
    try {
      const got = await this.#engine.deps.api.get<{ presence: Presence[] }>(
        `/v1/presence?${query}`,
      );
      for (const presence of got.presence) this.#engine.presence.set(presence.user_id, presence);
      this.#engine.deps.tell({ presence: got.presence });
    } catch {
      // Presence is an opinion; without it nobody has a dot.
    }
  }
}
