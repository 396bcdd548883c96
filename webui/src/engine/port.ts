// What tabs and the engine say to each other over a MessagePort.
import type {
  Contact,
  Device,
  History,
  Limits,
  Me,
  Member,
  Message,
  Page,
  Presence,
  Problem,
  RoomEntry,
  User,
} from '../wire';
import type { KeptDraft, OutboxItem } from './db';
import type { Phase } from './link';

export type Auth =
  | { state: 'starting' }
  /** The browser gives us no storage. */
  | { state: 'broken' }
  | { state: 'out'; reason?: 'unauthenticated' | 'revoked' }
  | { state: 'in' };

export interface Conn {
  phase: Phase;
  reason?: string;
  /** The server said that it leaves: come back is what we do. */
  moving?: boolean;
}

/** News for every tab. Fields that are missing did not change. */
export interface News {
  /** Everything there is: forget what you had. */
  whole?: true;
  auth?: Auth;
  conn?: Conn;
  me?: Me;
  device_id?: string;
  clock_offset?: number;
  limits?: Limits;
  /** Other servers of the cluster that are another place than this page's. */
  elsewhere?: string[];
  rooms?: RoomEntry[];
  dropRooms?: string[];
  users?: User[];
  messages?: Message[];
  fresh?: Message[];
  outbox?: OutboxItem[];
  dropOutbox?: string[];
  drafts?: KeptDraft[];
  dropDrafts?: string[];
  presence?: Presence[];
  /** All of them. */
  contacts?: Contact[];
  /** Everybody we have blocked. */
  blocks?: string[];
  typing?: { room_id: string; user_id: string };
  delivered?: { room_id: string; user_id: string; seq: number };
  /** The server could not go on from our cursor: fetch open rooms again. */
  reset?: true;
}

export interface Credentials {
  username: string;
  password: string;
  name?: string;
  device_name: string;
}

/** What a tab may ask; each returns a promise there. */
export interface Calls {
  signUp(credentials: Credentials): Promise<void>;
  signIn(credentials: Credentials): Promise<void>;
  signOut(): Promise<void>;
  send(room: string, text: string, replyTo?: number): Promise<string>;
  retry(clientId: string): Promise<void>;
  discard(clientId: string): Promise<void>;
  edit(room: string, seq: number, text: string): Promise<void>;
  erase(room: string, seq: number): Promise<void>;
  /** Sets or takes back one's own reaction. */
  react(room: string, seq: number, emoji: string, on: boolean): Promise<void>;
  mute(room: string, muted: boolean): Promise<void>;
  /** A run of messages: the newest, or before, after or around a seq. */
  page(
    room: string,
    where: { before?: number; after?: number; around?: number },
    limit: number,
  ): Promise<Page>;
  one(room: string, seq: number): Promise<Message | undefined>;
  read(room: string, seq: number): Promise<void>;
  typing(room: string): Promise<void>;
  /** What is being written in a room; other devices hear of it after a rest. */
  keepDraft(room: string, text: string, replyTo?: number): Promise<void>;
  /** Other devices hear of it now. */
  tellDraft(room: string): Promise<void>;
  open(room: string): Promise<void>;
  findPeople(query: string): Promise<User[]>;
  createDirect(user: string): Promise<string>;
  createGroup(name: string, members: string[], history: History): Promise<string>;
  rename(room: string, name: string): Promise<void>;
  setHistory(room: string, history: History): Promise<void>;
  members(room: string): Promise<Member[]>;
  addMember(room: string, user: string): Promise<void>;
  removeMember(room: string, user: string): Promise<void>;
  setRole(room: string, user: string, role: string): Promise<void>;
  /** Asks both lists of the server, should news have been missed. */
  people(): Promise<void>;
  /** Asks to be friends, or accepts. */
  befriend(user: string): Promise<void>;
  /** Removes a friend, declines, or takes back what was asked. */
  unfriend(user: string): Promise<void>;
  block(user: string, on: boolean): Promise<void>;
  updateMe(change: Partial<Me>): Promise<void>;
  setPassword(oldPassword: string, newPassword: string): Promise<void>;
  devices(): Promise<Device[]>;
  revoke(device: string): Promise<void>;
  hurry(): Promise<void>;
}

export type ToEngine =
  | { t: 'hi'; tab: string }
  | { t: 'visible'; visible: boolean }
  | { t: 'bye' }
  | { t: 'call'; id: number; name: keyof Calls; args: unknown[] };

export type ToTab =
  | { t: 'news'; news: News }
  | { t: 'answer'; id: number; value: unknown }
  | { t: 'refusal'; id: number; problem: Problem };

/** The half of a MessagePort that both sides use. */
export interface Port {
  postMessage(message: unknown): void;
  onmessage: ((event: MessageEvent) => void) | null;
}
