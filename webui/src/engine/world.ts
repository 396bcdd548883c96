import type { Contact, Draft, Event, Me, Member, Message, Room, RoomEntry, User } from '../wire';
import type { Change, KeptDraft, OutboxItem } from './db';
import { looksAs, mergeMembers, mergeRoom, readUpTo } from './merge';

/**
 * What the engine knows, and the rules by which events change it. No I/O and no
 * clock here: `apply` notes in a Outcome what changed, the engine stores that in one
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
  drafts = new Map<string, KeptDraft>();
  contacts = new Map<string, Contact>();
  blocks = new Set<string>();
  /** Whether both were ever asked of the server; since then events tell. */
  peopleKnown = false;

  constructor(me: Me) {
    this.me = me;
    this.users.set(me.id, me);
  }

  apply(event: Event, out: Outcome): void {
    switch (event.type) {
      case 'message':
        return this.message(event.message, out);
      case 'message_edited':
      case 'message_deleted':
      case 'reaction':
        return this.#changed(event.message, out);
      case 'read':
        return this.read(event.room_id, event.user_id, event.seq, out);
      case 'room':
        return this.#room(event.room, out);
      case 'member':
        return this.#member(event, out);
      case 'room_left':
        this.rooms.delete(event.room_id);
        out.rooms.delete(event.room_id);
        out.dropRooms.add(event.room_id);
        if (this.drafts.delete(event.room_id)) out.drafts.add(event.room_id);
        return;
      case 'draft':
        return this.draft(event.room_id, event.draft, out);
      case 'profile':
        this.user(event.user, out);
        if (event.user.id === this.me.id) this.#setMe({ ...this.me, ...event.user }, out);
        return;
      case 'settings': {
        const { type: _, ...settings } = event;
        this.#setMe({ ...this.me, ...settings }, out);
        return;
      }
      case 'contact':
        return this.contact(event.contact, out);
      case 'block':
        return this.block(event.user_id, event.blocked, out);
      case 'session_revoked':
        out.revoked.add(event.device_id);
    }
  }

  message(message: Message, out: Outcome): void {
    out.messages.push(message);
    const mine = message.sender_id === this.me.id;
    if (mine && message.client_id) this.settle(message.client_id, out);
    const entry = this.rooms.get(message.room_id);
    if (!entry) {
      out.unknownRooms.add(message.room_id);
      return;
    }
    if (!mine && message.kind === 'text' && message.seq > entry.last_seq) out.fresh.push(message);
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
        mention_seq: this.#mention(entry, message),
      },
      out,
    );
    if (!this.users.has(message.sender_id)) out.unknownUsers.add(message.sender_id);
    this.#unknown(message, out);
  }

  /** Messages that were not told as news, such as a page of the past, may mention us. */
  mentions(messages: Message[], out: Outcome): void {
    for (const message of messages) {
      const entry = this.rooms.get(message.room_id);
      if (!entry) continue;
      const mention_seq = this.#mention(entry, message);
      if (mention_seq !== entry.mention_seq && (mention_seq ?? 0) > entry.read_seq)
        this.put({ ...entry, mention_seq }, out);
    }
  }

  read(room: string, user: string, seq: number, out: Outcome): void {
    const entry = this.rooms.get(room);
    if (!entry) return;
    const mine = user === this.me.id;
    this.put(
      {
        ...entry,
        room: { ...entry.room, members: readUpTo(entry.room.members, user, seq) },
        read_seq: mine ? Math.max(entry.read_seq, seq) : entry.read_seq,
      },
      out,
    );
  }

  /** A room list from the server: the truth about which rooms there are. */
  list(entries: RoomEntry[], out: Outcome): void {
    const present = new Set(entries.map((e) => e.room.id));
    for (const id of [...this.rooms.keys()])
      if (!present.has(id)) {
        this.rooms.delete(id);
        out.dropRooms.add(id);
      }
    for (const entry of entries) {
      this.entry(entry, out);
      if (!entry.draft) this.draft(entry.room.id, undefined, out);
    }
  }

  /** One room from the server. Our own read mark may be ahead of what it has heard. */
  entry({ draft, ...entry }: RoomEntry, out: Outcome): void {
    if (draft) this.draft(entry.room.id, draft, out);
    const old = this.rooms.get(entry.room.id);
    for (const member of entry.room.members ?? []) this.user(member.user, out);
    if (entry.last_message) out.messages.push(entry.last_message);
    out.unknownRooms.delete(entry.room.id);
    this.put(
      {
        ...entry,
        room: mergeRoom(old?.room, entry.room),
        last_seq: Math.max(old?.last_seq ?? 0, entry.last_seq),
        last_message:
          (old?.last_seq ?? 0) > entry.last_seq ? old?.last_message : entry.last_message,
        mention_seq: old?.mention_seq,
        // Who came late has nothing unread from before: the server's count says so.
        read_seq: Math.max(old?.read_seq ?? 0, entry.read_seq, entry.last_seq - entry.unread),
      },
      out,
    );
  }

  members(room: string, members: Member[], out: Outcome): void {
    const entry = this.rooms.get(room);
    if (!entry) return;
    for (const member of members) this.user(member.user, out);
    const merged = mergeMembers(entry.room.members, members);
    this.put(
      { ...entry, room: { ...entry.room, members: merged, member_count: members.length } },
      out,
    );
  }

  user(user: User, out: Outcome): void {
    const old = this.users.get(user.id);
    // A node that has not seen the account yet knows only the id: ask again later.
    if (!user.username) {
      if (!old) out.unknownUsers.add(user.id);
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
    out.users.set(user.id, user);
    for (const entry of this.rooms.values()) {
      const members = entry.room.members;
      if (!members?.some((m) => m.user.id === user.id)) continue;
      const renamed = members.map((m) => (m.user.id === user.id ? { ...m, user } : m));
      this.put({ ...entry, room: { ...entry.room, members: renamed } }, out);
    }
  }

  contact(contact: Contact, out: Outcome): void {
    this.user(contact.user, out);
    if (contact.state === 'none') this.contacts.delete(contact.user.id);
    else this.contacts.set(contact.user.id, contact);
    out.contacts = true;
  }

  block(user: string, on: boolean, out: Outcome): void {
    if (on) this.blocks.add(user);
    else this.blocks.delete(user);
    if (on && !this.users.has(user)) out.unknownUsers.add(user);
    out.contacts = true;
  }

  /** Both lists from the server: the truth about them. */
  people(contacts: Contact[], blocked: User[], out: Outcome): void {
    this.peopleKnown = true;
    this.contacts.clear();
    this.blocks.clear();
    for (const contact of contacts) this.contact(contact, out);
    for (const user of blocked) {
      this.user(user, out);
      this.block(user.id, true, out);
    }
    out.contacts = true;
  }

  /** A draft as the server has it. What we are ahead with, it has not heard of yet. */
  draft(room_id: string, draft: Draft | undefined, out: Outcome): void {
    const old = this.drafts.get(room_id);
    if (old?.ahead || (old?.updated_at ?? '') > (draft?.updated_at ?? '9')) return;
    // An answer without a word is ours alone: the server keeps none.
    if (!draft?.text && !old?.text) return;
    this.keepDraft({ room_id, text: '', ...draft }, out);
  }

  keepDraft(draft: KeptDraft, out: Outcome): void {
    if (draft.text || draft.reply_to || draft.ahead) this.drafts.set(draft.room_id, draft);
    else this.drafts.delete(draft.room_id);
    out.drafts.add(draft.room_id);
  }

  /** The outbox item of this message is done. */
  settle(clientId: string, out: Outcome): void {
    const at = this.outbox.findIndex((item) => item.client_id === clientId);
    if (at < 0) return;
    this.outbox.splice(at, 1);
    out.dropOutbox.add(clientId);
  }

  put(entry: RoomEntry, out: Outcome): void {
    entry.unread = Math.max(0, entry.last_seq - entry.read_seq);
    if ((entry.mention_seq ?? 0) <= entry.read_seq) delete entry.mention_seq;
    this.rooms.set(entry.room.id, entry);
    out.rooms.add(entry.room.id);
  }

  #changed(message: Message, out: Outcome): void {
    out.messages.push(message);
    const entry = this.rooms.get(message.room_id);
    if (!entry) return;
    this.#unknown(message, out);
    const last_message = entry.last_message?.seq === message.seq ? message : entry.last_message;
    const mention_seq = this.#mention(entry, message);
    if (last_message !== entry.last_message || mention_seq !== entry.mention_seq)
      this.put({ ...entry, last_message, mention_seq }, out);
  }

  /** The newest mention of us, now that this message reads so. */
  #mention(entry: RoomEntry, message: Message): number | undefined {
    const old = entry.mention_seq ?? 0;
    const ours = message.mentions?.includes(this.me.id) && !message.deleted_at;
    if (ours && message.sender_id !== this.me.id) return Math.max(old, message.seq);
    return old === message.seq ? undefined : entry.mention_seq;
  }

  /** Whom a message names and we have no name for. */
  #unknown(message: Message, out: Outcome): void {
    for (const id of message.mentions ?? []) if (!this.users.has(id)) out.unknownUsers.add(id);
  }

  #room(room: Room, out: Outcome): void {
    for (const member of room.members ?? []) this.user(member.user, out);
    const entry = this.rooms.get(room.id);
    // The event says nothing of seqs and read marks; for a new room the list does.
    if (!entry) {
      out.unknownRooms.add(room.id);
      return;
    }
    // One of our devices muted it: nothing to see has changed, and only the list says how.
    if (looksAs(entry.room, room)) out.unknownRooms.add(room.id);
    this.put({ ...entry, room: mergeRoom(entry.room, room) }, out);
  }

  #member(event: Event & { type: 'member' }, out: Outcome): void {
    const entry = this.rooms.get(event.room_id);
    if (!entry) {
      if (event.change !== 'left') out.unknownRooms.add(event.room_id);
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
      out.staleMembers.add(event.room_id);
    this.put(
      { ...entry, room: { ...entry.room, members, role, member_count: event.member_count } },
      out,
    );
  }

  #setMe(me: Me, out: Outcome): void {
    this.me = me;
    out.me = me;
  }
}

/** What applying changed: what to store, and what to ask the server about. */
export class Outcome {
  me: Me | undefined;
  rooms = new Set<string>();
  dropRooms = new Set<string>();
  users = new Map<string, User>();
  messages: Message[] = [];
  /** Messages of others never seen before: what may be announced. */
  fresh: Message[] = [];
  dropOutbox = new Set<string>();
  drafts = new Set<string>();
  /** Contacts or blocks have changed. */
  contacts = false;
  revoked = new Set<string>();
  unknownRooms = new Set<string>();
  unknownUsers = new Set<string>();
  staleMembers = new Set<string>();

  change(world: World, cursor?: string): Change {
    return {
      meta: {
        cursor,
        me: this.me,
        ...(this.contacts && { contacts: [...world.contacts.values()], blocks: [...world.blocks] }),
      },
      rooms: [...this.rooms].flatMap((id) => world.rooms.get(id) ?? []),
      dropRooms: [...this.dropRooms],
      users: [...this.users.values()],
      messages: this.messages,
      dropOutbox: [...this.dropOutbox],
      drafts: [...this.drafts].flatMap((id) => world.drafts.get(id) ?? []),
      dropDrafts: [...this.drafts].filter((id) => !world.drafts.has(id)),
    };
  }
}
