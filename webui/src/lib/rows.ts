import type { OutboxItem } from '../engine/db';
import type { Message } from '../wire';

export type Row =
  | { type: 'day'; key: string; at: string }
  | { type: 'unread'; key: string }
  | { type: 'system'; key: string; message: Message }
  | {
      type: 'message';
      key: string;
      message: Message;
      /** Waiting in the outbox, or refused. */
      item?: OutboxItem;
      own: boolean;
      /** First and last of a run by the same person within five minutes. */
      first: boolean;
      last: boolean;
    };

const RUN_MS = 5 * 60_000;

export interface RowsOf {
  messages: readonly Message[];
  outbox: readonly OutboxItem[];
  me: string;
  /** The first unread seq when the room was opened: the line stands above it. */
  unreadFrom?: number;
}

/**
 * What the timeline shows, in order: by seq, then what still waits. A message keeps
 * its key from the outbox to its place in the room, so that it never jumps or blinks.
 */
export function buildRows({ messages, outbox, me, unreadFrom }: RowsOf): Row[] {
  const rows: Row[] = [];
  const settled = new Set<string>();
  for (const message of messages)
    if (message.sender_id === me && message.client_id) settled.add(message.client_id);
  let day = '';
  let previous: (Row & { type: 'message' }) | undefined;

  const add = (message: Message, item?: OutboxItem) => {
    const today = new Date(message.created_at).toDateString();
    if (today !== day) {
      day = today;
      rows.push({ type: 'day', key: `day ${today}`, at: message.created_at });
      previous = undefined;
    }
    if (!item && unreadFrom !== undefined && message.seq === unreadFrom) {
      rows.push({ type: 'unread', key: 'unread' });
      previous = undefined;
    }
    if (message.kind === 'system') {
      rows.push({ type: 'system', key: `seq ${message.seq}`, message });
      previous = undefined;
      return;
    }
    const own = message.sender_id === me;
    const key = own && message.client_id ? message.client_id : `seq ${message.seq}`;
    const joins =
      previous !== undefined &&
      previous.message.sender_id === message.sender_id &&
      !message.reply_to &&
      Date.parse(message.created_at) - Date.parse(previous.message.created_at) < RUN_MS;
    if (joins && previous) previous.last = false;
    previous = { type: 'message', key, message, own, first: !joins, last: true };
    if (item) previous.item = item;
    rows.push(previous);
  };

  for (const message of messages) add(message);
  for (const item of outbox) {
    if (settled.has(item.client_id)) continue;
    const { client_id, room_id, text, reply_to } = item;
    add(
      {
        id: '',
        seq: 0,
        kind: 'text',
        sender_id: me,
        created_at: new Date(item.at).toISOString(),
        client_id,
        room_id,
        text,
        ...(reply_to ? { reply_to } : {}),
      },
      item,
    );
  }
  return rows;
}
