// Messages, rooms and the like, with what a test does not care about filled in.
import type { OutboxItem } from '../src/engine/db';
import type { Clock, Socket } from '../src/engine/link';
import type { ClientFrame, Me, Member, Message, RoomEntry, ServerFrame } from '../src/wire';

export const me: Me = { id: 'me', username: 'maya', name: 'Maya' };

export function message(seq: number, more: Partial<Message> = {}): Message {
  return {
    id: String(1000 + seq),
    room_id: 'r1',
    seq,
    kind: 'text',
    sender_id: 'tom',
    text: `text ${seq}`,
    created_at: new Date(Date.UTC(2026, 10, 22, 10, 0, seq)).toISOString(),
    ...more,
  };
}

export function item(client_id: string, n: number, more: Partial<OutboxItem> = {}): OutboxItem {
  return { client_id, n, room_id: 'r1', text: client_id, at: 1_800_000_000_000 + n, ...more };
}

export function member(id: string, read_seq = 0): Member {
  const user = { id, username: id, name: id.toUpperCase() };
  return { user, role: 'member', joined_at: '2026-11-22T10:00:00.000Z', read_seq };
}

export function entry(id: string, more: Partial<RoomEntry> = {}): RoomEntry {
  return {
    room: {
      id,
      kind: 'direct',
      member_count: 2,
      members: [member('me'), member('tom')],
      created_at: '2026-11-22T10:00:00.000Z',
      role: 'member',
    },
    last_seq: 0,
    read_seq: 0,
    unread: 0,
    muted: false,
    ...more,
  };
}

/** A clock that moves when told to. */
export class TestClock implements Clock {
  time = 1_800_000_000_000;
  dice = 0.5;
  #timers: { at: number; run: () => void }[] = [];

  now = () => this.time;
  random = () => this.dice;

  after = (ms: number, run: () => void) => {
    const timer = { at: this.time + ms, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((t) => t !== timer);
    };
  };

  pass(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      const next = this.#timers.filter((t) => t.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.#timers = this.#timers.filter((t) => t !== next);
      this.time = Math.max(this.time, next.at);
      next.run();
    }
    this.time = end;
  }
}

/** A socket whose other end is the test. */
export class TestSocket implements Socket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  sent: ClientFrame[] = [];
  closed = false;

  send(data: string): void {
    this.sent.push(JSON.parse(data));
  }
  close(): void {
    this.closed = true;
  }
  tell(frame: ServerFrame | Record<string, unknown>): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
  ops(op: string): ClientFrame[] {
    return this.sent.filter((frame) => frame.op === op);
  }
}
