// The shapes of docs/PROTOCOL.md, as this client reads them. Unknown fields are ignored.

export interface User {
  id: string;
  username: string;
  name: string;
  about?: string;
  avatar_id?: string;
}

export interface Me extends User {
  locale?: string;
  time_zone?: string;
  presence_visibility?: 'everyone' | 'friends' | 'nobody';
  settings?: Record<string, string>;
  created_at?: string;
}

export type Role = 'owner' | 'admin' | 'member';

export interface Member {
  user: User;
  role: Role;
  joined_at: string;
  /** The last seq this member has read. */
  read_seq: number;
}

export interface Room {
  id: string;
  kind: 'direct' | 'group';
  name?: string;
  topic?: string;
  avatar_id?: string;
  member_count: number;
  /** At most 20 from the server; the engine fills in the rest when the room is opened. */
  members?: Member[];
  created_at: string;
  role?: Role;
  /** What people who join from now on see. */
  history?: History;
}

export type History = 'all' | 'joined';

export type SystemAction =
  | 'created'
  | 'renamed'
  | 'topic'
  | 'avatar'
  | 'history'
  | 'joined'
  | 'left'
  | 'removed'
  | 'role';

export interface Message {
  id: string;
  room_id: string;
  /** The message's place in its room, from 1 without holes: the only order there is. */
  seq: number;
  kind: 'text' | 'system';
  sender_id: string;
  client_id?: string;
  text: string;
  system?: { action: SystemAction; user_ids: string[]; name?: string; role?: Role };
  reply_to?: number;
  /** The members whose @username stands in the text. */
  mentions?: string[];
  edited_at?: string;
  deleted_at?: string;
  reactions?: { emoji: string; user_ids: string[] }[];
  created_at: string;
}

/** What was begun in a room and not sent. */
export interface Draft {
  text: string;
  reply_to?: number;
  updated_at?: string;
}

export interface RoomEntry {
  room: Room;
  last_message?: Message;
  last_seq: number;
  read_seq: number;
  unread: number;
  muted: boolean;
  draft?: Draft;
  /** This client's own reckoning: the newest unread message that mentions us. */
  mention_seq?: number;
}

export interface Device {
  device_id: string;
  device_name: string;
  created_at: string;
  last_seen_at: string;
  current: boolean;
}

export interface Node {
  id: string;
  url: string;
  region: string;
  load: number;
}

export interface Session {
  device_id: string;
  user: Me;
  nodes?: Node[];
}

export interface Problem {
  code: string;
  title?: string;
  detail?: string;
  status?: number;
  field?: string;
  limit?: number;
  retry_after_ms?: number;
  server_time?: string;
}

/** How somebody stands to us; `none` is told when nothing is left. */
export interface Contact {
  user: User;
  state: 'friend' | 'incoming' | 'outgoing' | 'none';
  since?: string;
}

/** The server's bounds, by name; 0 is none where that makes sense. */
export type Limits = Record<string, number>;

export type Status = 'online' | 'away' | 'offline';

export interface Presence {
  user_id: string;
  status: Status;
  last_seen?: string;
}

export interface Page {
  messages: Message[];
  more_before: boolean;
  more_after: boolean;
}

export type Event =
  | { type: 'message' | 'message_edited' | 'message_deleted' | 'reaction'; message: Message }
  | { type: 'read'; room_id: string; user_id: string; seq: number }
  | { type: 'room'; room: Room }
  | {
      type: 'member';
      room_id: string;
      user_id: string;
      change: 'joined' | 'left' | 'role';
      role?: Role;
      member_count: number;
    }
  | { type: 'room_left'; room_id: string }
  | { type: 'profile'; user: User }
  | {
      type: 'settings';
      settings?: Record<string, string>;
      locale?: string;
      time_zone?: string;
      presence_visibility?: Me['presence_visibility'];
    }
  | { type: 'session_revoked'; device_id: string }
  | { type: 'draft'; room_id: string; draft?: Draft }
  | { type: 'contact'; contact: Contact }
  | { type: 'block'; user_id: string; blocked: boolean };

export interface Placed {
  cursor: string;
  event: Event;
}

export type ServerFrame =
  | {
      op: 'welcome';
      ref?: string;
      user: User;
      device_id: string;
      node?: string;
      cursor: string;
      heartbeat_ms: number;
      server_time: string;
    }
  | { op: 'event'; cursor: string; event: Event }
  | { op: 'events'; events: Placed[] }
  | { op: 'synced' | 'reset'; cursor: string }
  | { op: 'sent'; ref: string; message_id: string; seq: number; created_at: string }
  | { op: 'ok'; ref: string }
  | { op: 'pong'; ref?: string; server_time?: string }
  | ({ op: 'presence' } & Presence)
  | { op: 'typing'; room_id: string; user_id: string }
  | { op: 'delivered'; room_id: string; user_id: string; seq: number }
  | { op: 'error'; ref?: string; problem: Problem }
  | { op: 'move'; nodes?: Node[]; within_ms: number };

export type ClientFrame = { op: string; ref?: string } & Record<string, unknown>;
