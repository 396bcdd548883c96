import type { Event, Me, Member, Message, Room, RoomEntry, User } from '../wire';
import type { Change, OutboxItem } from './db';

/**
 * What the engine knows, and the rules by which events change it. No I/O and no
 * clock here: `apply` notes in a Draft what changed, the engine stores that in one
 * transaction with the cursor, and only then tells the tabs.
 *
 * Order is the room's seq and nothing else. An event may come twice, or come after
 * the `sent` that already told it; seqs only grow, so applying it again changes
 * nothing. Worked example: last_seq 7, own message sent as 9 while 8 is on its way:
 * `sent` raises last_seq and read_seq to 9; the event of 8 then leaves both alone.
 */
export class World {
  me: Me;
  rooms = new Map<string, RoomEntry>();
  users = new Map<string, User>();
  outbox: OutboxItem[] = [];

  constructor(me: Me) {
    this.me = me;
    this.users.set(me.id, me);
  }

  apply(event: Event, draft: Draft): void {
    switch (event.type) {
      case 'message':
        return this.message(event.message, draft);
      case 'message_edited':
      case 'message_deleted':
      case 'reaction':
        return this.#changed(event.message, draft);
      case 'read':
        return this.read(event.room_id, event.user_id, event.seq, draft);
      case 'room':
        return this.#room(event.room, draft);
      case 'member':
        return this.#member(event, draft);
      case 'room_left':
        this.rooms.delete(event.room_id);
        draft.rooms.delete(event.room_id);
        draft.dropRooms.add(event.room_id);
        return;
      case 'profile':
        this.user(event.user, draft);
        if (event.user.id === this.me.id) this.#setMe({ ...this.me, ...event.user }, draft);
        return;
      case 'settings': {
        const { type: _, ...settings } = event;
        this.#setMe({ ...this.me, ...settings }, draft);
        return;
      }
      case 'session_revoked':
        draft.revoked.add(event.device_id);
    }
  }

  message(message: Message, draft: Draft): void {
    draft.messages.push(message);
    const mine = message.sender_id === this.me.id;
    if (mine && message.client_id) this.settle(message.client_id, draft);
    const entry = this.rooms.get(message.room_id);
    if (!entry) {
      draft.unknownRooms.add(message.room_id);
      return;
    }
    if (!mine && message.kind === 'text' && message.seq > entry.last_seq) draft.fresh.push(message);
    const newest = message.seq >= entry.last_seq;
    this.put(
      {
        ...entry,
        room: {
          ...entry.room,
          members: readUpTo(entry.room.members, message.sender_id, message.seq),
        },
        last_message: newest ? message : entry.last_message,
        last_seq: Math.max(entry.last_seq, message.seq),
        read_seq: mine ? Math.max(entry.read_seq, message.seq) : entry.read_seq,
      },
      draft,
    );
    if (!this.users.has(message.sender_id)) draft.unknownUsers.add(message.sender_id);
  }

  read(room: string, user: string, seq: number, draft: Draft): void {
    const entry = this.rooms.get(room);
    if (!entry) return;
    const mine = user === this.me.id;
    this.put(
      {
        ...entry,
        room: { ...entry.room, members: readUpTo(entry.room.members, user, seq) },
        read_seq: mine ? Math.max(entry.read_seq, seq) : entry.read_seq,
      },
      draft,
    );
  }

  /** A room list from the server: the truth about which rooms there are. */
  list(entries: RoomEntry[], draft: Draft): void {
    const present = new Set(entries.map((e) => e.room.id));
    for (const id of [...this.rooms.keys()])
      if (!present.has(id)) {
        this.rooms.delete(id);
        draft.dropRooms.add(id);
      }
    for (const entry of entries) this.entry(entry, draft);
  }

  /** One room from the server. Our own read mark may be ahead of what it has heard. */
  entry(entry: RoomEntry, draft: Draft): void {
    const old = this.rooms.get(entry.room.id);
    for (const member of entry.room.members ?? []) this.user(member.user, draft);
    if (entry.last_message) draft.messages.push(entry.last_message);
    draft.unknownRooms.delete(entry.room.id);
    this.put(
      {
        ...entry,
        room: mergeRoom(old?.room, entry.room),
        last_seq: Math.max(old?.last_seq ?? 0, entry.last_seq),
        last_message:
          (old?.last_seq ?? 0) > entry.last_seq ? old?.last_message : entry.last_message,
        // Who came late has nothing unread from before: the server's count says so.
        read_seq: Math.max(old?.read_seq ?? 0, entry.read_seq, entry.last_seq - entry.unread),
      },
      draft,
    );
  }

  members(room: string, members: Member[], draft: Draft): void {
    const entry = this.rooms.get(room);
    if (!entry) return;
    for (const member of members) this.user(member.user, draft);
    const merged = mergeMembers(entry.room.members, members);
    this.put(
      { ...entry, room: { ...entry.room, members: merged, member_count: members.length } },
      draft,
    );
  }

  user(user: User, draft: Draft): void {
    const old = this.users.get(user.id);
    // A node that has not seen the account yet knows only the id: ask again later.
    if (!user.username) {
      if (!old) draft.unknownUsers.add(user.id);
      return;
    }
    if (
      old &&
      old.name === user.name &&
      old.username === user.username &&
      old.avatar_id === user.avatar_id
    )
      return;
    this.users.set(user.id, user);
    draft.users.set(user.id, user);
    for (const entry of this.rooms.values()) {
      const members = entry.room.members;
      if (!members?.some((m) => m.user.id === user.id)) continue;
      const renamed = members.map((m) => (m.user.id === user.id ? { ...m, user } : m));
      this.put({ ...entry, room: { ...entry.room, members: renamed } }, draft);
    }
  }

  /** The outbox item of this message is done. */
  settle(clientId: string, draft: Draft): void {
    const at = this.outbox.findIndex((item) => item.client_id === clientId);
    if (at < 0) return;
    this.outbox.splice(at, 1);
    draft.dropOutbox.add(clientId);
  }

  put(entry: RoomEntry, draft: Draft): void {
    entry.unread = Math.max(0, entry.last_seq - entry.read_seq);
    this.rooms.set(entry.room.id, entry);
    draft.rooms.add(entry.room.id);
  }

  #changed(message: Message, draft: Draft): void {
    draft.messages.push(message);
    const entry = this.rooms.get(message.room_id);
    if (entry?.last_message?.seq === message.seq)
      this.put({ ...entry, last_message: message }, draft);
  }

  #room(room: Room, draft: Draft): void {
    for (const member of room.members ?? []) this.user(member.user, draft);
    const entry = this.rooms.get(room.id);
    // The event says nothing of seqs and read marks; for a new room the list does.
    if (!entry) {
      draft.unknownRooms.add(room.id);
      return;
    }
    // One of our devices muted it: nothing to see has changed, and only the list says how.
    if (looksAs(entry.room, room)) draft.unknownRooms.add(room.id);
    this.put({ ...entry, room: mergeRoom(entry.room, room) }, draft);
  }

  #member(event: Event & { type: 'member' }, draft: Draft): void {
    const entry = this.rooms.get(event.room_id);
    if (!entry) {
      if (event.change !== 'left') draft.unknownRooms.add(event.room_id);
      return;
    }
    let members = entry.room.members;
    let role = entry.room.role;
    if (event.change === 'left') members = members?.filter((m) => m.user.id !== event.user_id);
    else if (event.change === 'role' && event.role) {
      const next = event.role;
      members = members?.map((m) => (m.user.id === event.user_id ? { ...m, role: next } : m));
      if (event.user_id === this.me.id) role = next;
    } else if (!members?.some((m) => m.user.id === event.user_id))
      draft.staleMembers.add(event.room_id);
    this.put(
      { ...entry, room: { ...entry.room, members, role, member_count: event.member_count } },
      draft,
    );
  }

  #setMe(me: Me, draft: Draft): void {
    this.me = me;
    draft.me = me;
  }
}

/** What applying changed: what to store, and what to ask the server about. */
export class Draft {
  me: Me | undefined;
  rooms = new Set<string>();
  dropRooms = new Set<string>();
  users = new Map<string, User>();
  messages: Message[] = [];
  /** Messages of others never seen before: what may be announced. */
  fresh: Message[] = [];
  dropOutbox = new Set<string>();
  revoked = new Set<string>();
  unknownRooms = new Set<string>();
  unknownUsers = new Set<string>();
  staleMembers = new Set<string>();

  change(world: World, cursor?: string): Change {
    return {
      meta: { cursor, me: this.me },
      rooms: [...this.rooms].flatMap((id) => world.rooms.get(id) ?? []),
      dropRooms: [...this.dropRooms],
      users: [...this.users.values()],
      messages: this.messages,
      dropOutbox: [...this.dropOutbox],
    };
  }
}

function looksAs(old: Room, next: Room): boolean {
  const looks = ({ name, topic, avatar_id, member_count, role, members }: Room) => {
    const roles = next.members && members?.map((m) => m.role);
    return JSON.stringify([name, topic, avatar_id, member_count, role, roles]);
  };
  return looks(old) === looks(next);
}

function readUpTo(members: Member[] | undefined, user: string, seq: number) {
  return members?.map((m) =>
    m.user.id === user && m.read_seq < seq ? { ...m, read_seq: seq } : m,
  );
}

function mergeRoom(old: Room | undefined, next: Room): Room {
  const known = old?.members ?? [];
  const partial = (next.members?.length ?? 0) < next.member_count;
  const members = partial && known.length > (next.members?.length ?? 0) ? known : next.members;
  return {
    ...next,
    role: next.role ?? old?.role,
    members: members && mergeMembers(known, members),
  };
}

/** The next list, but no read mark goes back. */
function mergeMembers(old: Member[] | undefined, next: Member[]): Member[] {
  const marks = new Map(old?.map((m) => [m.user.id, m.read_seq]));
  return next.map((m) => ({
    ...m,
    read_seq: Math.max(m.read_seq ?? 0, marks.get(m.user.id) ?? 0),
  }));
}

/** A room of which nothing is known yet but itself. */
export function emptyEntry(room: Room): RoomEntry {
  return { room, last_seq: 0, read_seq: 0, unread: 0, muted: false };
}
