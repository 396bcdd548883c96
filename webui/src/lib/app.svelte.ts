import { SvelteMap, SvelteSet } from 'svelte/reactivity';
import type { KeptDraft, OutboxItem } from '../engine/db';
import type { Auth, Calls, Conn, News } from '../engine/port';
import type { Contact, Limits, Me, Message, Presence, RoomEntry, User } from '../wire';

const TYPING_MS = 6000;

export interface Listener {
  messages(messages: Message[]): void;
  fresh(messages: Message[]): void;
  reset(): void;
}

/** A tab's mirror of the engine. It changes only by news. */
class App {
  auth = $state.raw<Auth>({ state: 'starting' });
  conn = $state.raw<Conn>({ phase: 'idle' });
  me = $state.raw<Me | undefined>();
  deviceId = $state('');
  limits = $state.raw<Limits>({});
  elsewhere = $state.raw<string[]>([]);
  /** Server time minus this machine's, in milliseconds. */
  clockOffset = 0;
  rooms = new SvelteMap<string, RoomEntry>();
  users = new SvelteMap<string, User>();
  presence = new SvelteMap<string, Presence>();
  outbox = $state.raw<OutboxItem[]>([]);
  contacts = new SvelteMap<string, Contact>();
  blocks = new SvelteSet<string>();
  drafts = new SvelteMap<string, KeptDraft>();
  /** Drafts of this tab on their way to the engine, by room: newer than its news. */
  writing = new Map<string, number>();
  typing = $state.raw<{ room: string; user: string }[]>([]);
  delivered = new SvelteMap<string, number>();
  /** This machine's time, often enough for "5 minutes ago". */
  now = $state(Date.now());
  calls!: Calls;

  #listeners = new Set<Listener>();
  #typingTimers = new Map<string, ReturnType<typeof setTimeout>>();

  ordered = $derived(
    [...this.rooms.values()].sort((a, b) => lastTime(b).localeCompare(lastTime(a))),
  );
  /** Connected and caught up: what needs an answer may be asked. */
  live = $derived(this.conn.phase === 'live');
  unread = $derived(
    [...this.rooms.values()].reduce((sum, entry) => sum + (entry.muted ? 0 : entry.unread), 0),
  );

  /** People who wait for an answer. */
  asking = $derived([...this.contacts.values()].filter((c) => c.state === 'incoming').length);
  /** Somewhere one was mentioned and has not looked: mute doesn't silence that. */
  mentioned = $derived([...this.rooms.values()].some((entry) => entry.mention_seq));

  constructor() {
    setInterval(() => {
      this.now = Date.now();
    }, 30_000);
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  receive(news: News): void {
    if (news.whole) {
      this.rooms.clear();
      this.users.clear();
      this.presence.clear();
      this.drafts.clear();
      this.outbox = [];
      this.me = news.me;
    }
    if (news.auth) this.auth = news.auth;
    if (news.conn) this.conn = news.conn;
    if (news.me) this.me = news.me;
    if (news.elsewhere) this.elsewhere = news.elsewhere;
    if (news.limits) this.limits = news.limits;
    if (news.clock_offset !== undefined) this.clockOffset = news.clock_offset;
    if (news.device_id !== undefined) this.deviceId = news.device_id;
    for (const user of news.users ?? []) this.users.set(user.id, user);
    if (news.contacts) {
      this.contacts.clear();
      for (const contact of news.contacts) this.contacts.set(contact.user.id, contact);
    }
    if (news.blocks) {
      this.blocks.clear();
      for (const id of news.blocks) this.blocks.add(id);
    }
    for (const presence of news.presence ?? []) this.presence.set(presence.user_id, presence);
    for (const draft of news.drafts ?? [])
      if (!this.writing.has(draft.room_id)) this.drafts.set(draft.room_id, draft);
    for (const id of news.dropDrafts ?? []) if (!this.writing.has(id)) this.drafts.delete(id);
    this.#settle(news);
    for (const entry of news.rooms ?? []) this.rooms.set(entry.room.id, entry);
    for (const id of news.dropRooms ?? []) this.rooms.delete(id);
    if (news.typing) this.#typed(news.typing.room_id, news.typing.user_id);
    if (news.delivered) {
      const { room_id, seq } = news.delivered;
      this.delivered.set(room_id, Math.max(seq, this.delivered.get(room_id) ?? 0));
    }
    for (const message of news.fresh ?? [])
      this.#stopTyping(`${message.room_id} ${message.sender_id}`);
    for (const listener of this.#listeners) {
      if (news.fresh?.length) listener.fresh(news.fresh);
      if (news.reset) listener.reset();
    }
  }

  /** Messages and the outbox in one step, so that a sent message never blinks. */
  #settle(news: News): void {
    if (news.messages?.length)
      for (const listener of this.#listeners) listener.messages(news.messages);
    if (!news.outbox?.length && !news.dropOutbox?.length) return;
    const gone = new Set([
      ...(news.dropOutbox ?? []),
      ...(news.outbox ?? []).map((i) => i.client_id),
    ]);
    const kept = this.outbox.filter((item) => !gone.has(item.client_id));
    this.outbox = [...kept, ...(news.outbox ?? [])].sort((a, b) => a.n - b.n);
  }

  #typed(room: string, user: string): void {
    const key = `${room} ${user}`;
    clearTimeout(this.#typingTimers.get(key));
    if (!this.typing.some((x) => x.room === room && x.user === user))
      this.typing = [...this.typing, { room, user }];
    this.#typingTimers.set(
      key,
      setTimeout(() => this.#stopTyping(key), TYPING_MS),
    );
  }

  #stopTyping(key: string): void {
    if (!this.#typingTimers.has(key)) return;
    clearTimeout(this.#typingTimers.get(key));
    this.#typingTimers.delete(key);
    this.typing = this.typing.filter((x) => `${x.room} ${x.user}` !== key);
  }
}

function lastTime(entry: RoomEntry): string {
  return entry.last_message?.created_at ?? entry.room.created_at;
}

export const app = new App();
