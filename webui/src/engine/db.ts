import { type DBSchema, type IDBPDatabase, openDB } from 'idb';
import type { Contact, Draft, Limits, Me, Message, Node, RoomEntry, User } from '../wire';

export interface OutboxItem {
  client_id: string;
  room_id: string;
  text: string;
  reply_to?: number;
  /** When the person pressed send, in server time. */
  at: number;
  /** The order of sending; grows by one for each item of this browser. */
  n: number;
  /** Set when the server refused it for good; such an item waits for the person. */
  failed?: { code: string; detail?: string; limit?: number };
  /** Its id was made anew once, after the server found our clock ahead. */
  remade?: boolean;
}

export interface KeptDraft extends Draft {
  room_id: string;
  /** The server has not heard of it. */
  ahead?: boolean;
}

export interface Saved {
  me?: Me;
  device_id?: string;
  cursor?: string;
  /** Server time minus this machine's, in milliseconds. */
  clock_offset?: number;
  /** Read marks set here that the server has not confirmed: room → seq. */
  reads?: Record<string, number>;
  limits?: Limits;
  /** The cluster as last heard of, and which of it we were connected to. */
  nodes?: Node[];
  node?: string;
  contacts?: Contact[];
  /** Whom we have blocked. */
  blocks?: string[];
}

interface Schema extends DBSchema {
  meta: { key: keyof Saved; value: unknown };
  rooms: { key: string; value: RoomEntry };
  users: { key: string; value: User };
  messages: { key: [string, number]; value: Message };
  outbox: { key: string; value: OutboxItem };
  drafts: { key: string; value: KeptDraft };
}

/** What one transaction writes. A cursor never goes without what it covers. */
export interface Change {
  meta?: Saved;
  rooms?: RoomEntry[];
  dropRooms?: string[];
  users?: User[];
  messages?: Message[];
  outbox?: OutboxItem[];
  dropOutbox?: string[];
  drafts?: KeptDraft[];
  dropDrafts?: string[];
}

const STORES = ['meta', 'rooms', 'users', 'messages', 'outbox', 'drafts'] as const;

export class Store {
  #db: IDBPDatabase<Schema>;

  private constructor(db: IDBPDatabase<Schema>) {
    this.#db = db;
  }

  static async open(name = 'natter'): Promise<Store> {
    const db = await openDB<Schema>(name, 2, {
      upgrade(db, version) {
        if (version < 2) db.createObjectStore('drafts', { keyPath: 'room_id' });
        if (version > 0) return;
        db.createObjectStore('meta');
        db.createObjectStore('rooms', { keyPath: 'room.id' });
        db.createObjectStore('users', { keyPath: 'id' });
        db.createObjectStore('messages', { keyPath: ['room_id', 'seq'] });
        db.createObjectStore('outbox', { keyPath: 'client_id' });
      },
      blocking: (_old, _new, event) => (event.target as IDBDatabase).close(),
    });
    return new Store(db);
  }

  async load() {
    const tx = this.#db.transaction(STORES);
    const meta = tx.objectStore('meta');
    const [keys, values, rooms, users, outbox, drafts] = await Promise.all([
      meta.getAllKeys(),
      meta.getAll(),
      tx.objectStore('rooms').getAll(),
      tx.objectStore('users').getAll(),
      tx.objectStore('outbox').getAll(),
      tx.objectStore('drafts').getAll(),
    ]);
    const saved: Saved = Object.fromEntries(keys.map((key, i) => [key, values[i]]));
    return { saved, rooms, users, drafts, outbox: outbox.sort((a, b) => a.n - b.n) };
  }

  /** Writes all of it or nothing of it. */
  async commit(change: Change): Promise<void> {
    const tx = this.#db.transaction(STORES, 'readwrite');
    const meta = tx.objectStore('meta');
    for (const [key, value] of Object.entries(change.meta ?? {}))
      if (value !== undefined) meta.put(value, key as keyof Saved);
    for (const entry of change.rooms ?? []) tx.objectStore('rooms').put(entry);
    for (const id of change.dropRooms ?? []) {
      tx.objectStore('rooms').delete(id);
      tx.objectStore('messages').delete(IDBKeyRange.bound([id, 0], [id, Number.MAX_SAFE_INTEGER]));
    }
    for (const user of change.users ?? []) tx.objectStore('users').put(user);
    for (const message of change.messages ?? []) tx.objectStore('messages').put(message);
    for (const item of change.outbox ?? []) tx.objectStore('outbox').put(item);
    for (const id of change.dropOutbox ?? []) tx.objectStore('outbox').delete(id);
    for (const draft of change.drafts ?? []) tx.objectStore('drafts').put(draft);
    for (const id of change.dropDrafts ?? []) tx.objectStore('drafts').delete(id);
    await tx.done;
  }

  /** The messages kept of [from, to], in order, holes and all. */
  messages(room: string, from: number, to: number): Promise<Message[]> {
    if (to < from) return Promise.resolve([]);
    return this.#db.getAll('messages', IDBKeyRange.bound([room, from], [room, to]));
  }

  async wipe(): Promise<void> {
    const tx = this.#db.transaction(STORES, 'readwrite');
    for (const store of STORES) tx.objectStore(store).clear();
    await tx.done;
  }

  close(): void {
    this.#db.close();
  }
}
