import type { Member, Presence, Room, RoomEntry, User } from '../wire';
import type { Engine } from './engine';
import { Draft, emptyEntry } from './world';

const WATCH_LIMIT = 200;
const PRESENCE_PAGE = 50;

/**
 * Asks the server about rooms and people that events name without describing, and
 * keeps the watch list: the other side of every direct room, and whoever is in the
 * room that was opened last.
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
    };
    engine.onUnknown = (draft) => {
      if (draft.unknownRooms.size) void this.learnRooms([...draft.unknownRooms]);
      for (const room of draft.staleMembers) void this.learnMembers(room).catch(() => {});
      this.learnUsers(draft.unknownUsers);
    };
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
    await this.#publish((draft) => this.#engine.world?.members(room, members, draft));
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
      await this.#publish((draft) => {
        for (const entry of found) this.#engine.world?.entry(entry, draft);
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
        .then((user) => this.#publish((draft) => this.#engine.world?.user(user, draft)))
        .catch(() => this.#asked.delete(id));
    }
  }

  #publish(fill: (draft: Draft) => void): Promise<void> {
    return this.#engine.serial(async () => {
      const draft = new Draft();
      fill(draft);
      await this.#engine.publish(draft);
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
