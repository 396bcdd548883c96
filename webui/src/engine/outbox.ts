import type { ClientFrame, Problem } from '../wire';
import { fullJitter, isTemporary } from './backoff';
import type { OutboxItem } from './db';
import type { Clock } from './link';

const ANSWER_TIMEOUT_MS = 15_000;

export interface OutboxHost {
  /** In the order they were sent; failed ones among them. */
  items(): readonly OutboxItem[];
  /** Puts a frame on the socket, or says that there is none. */
  put(frame: ClientFrame): boolean;
  /** The server will never take this one as it is: marks it so, or makes it another. */
  refused(item: OutboxItem, problem: Problem): Promise<void>;
}

/**
 * Sends what waits, one frame in flight per room, so that a temporary refusal of
 * one message cannot let the next overtake it. The frame's ref is the message's
 * client_id: an answer finds its item whatever happened to the connection since.
 */
export class Outbox {
  #host: OutboxHost;
  #clock: Clock;
  #live = false;
  #flying = new Map<string, { clientId: string; cancel: () => void }>();
  #pauses = new Map<string, () => void>();
  #tries = new Map<string, number>();

  constructor(host: OutboxHost, clock: Clock) {
    this.#host = host;
    this.#clock = clock;
  }

  /** Caught up with the server: what was sent before the loss has settled or goes again. */
  connected(): void {
    this.#live = true;
    this.flush();
  }

  lost(): void {
    this.#live = false;
    for (const flight of this.#flying.values()) flight.cancel();
    this.#flying.clear();
    for (const cancel of this.#pauses.values()) cancel();
    this.#pauses.clear();
    this.#tries.clear();
  }

  flush(): void {
    if (!this.#live) return;
    const rooms = new Set<string>();
    for (const item of this.#host.items()) {
      if (item.failed || rooms.has(item.room_id)) continue;
      rooms.add(item.room_id);
      if (!this.#flying.has(item.room_id) && !this.#pauses.has(item.room_id)) this.#send(item);
    }
  }

  /** The item with this id is settled or gone: the room's next may go. */
  done(clientId: string): void {
    const room = this.#land(clientId);
    if (room) this.#tries.delete(room);
    this.flush();
  }

  /** The server answered an error to the frame with this ref, if it is one of ours. */
  refusal(ref: string, problem: Problem): void {
    const item = this.#host.items().find((i) => i.client_id === ref);
    const room = this.#land(ref);
    if (!item || !room) return;
    if (isTemporary(problem.code)) {
      const tries = this.#tries.get(room) ?? 0;
      this.#tries.set(room, tries + 1);
      const wait = fullJitter(tries + 1, this.#clock.random, problem.retry_after_ms ?? 0);
      this.#pauses.set(
        room,
        this.#clock.after(wait, () => this.#resume(room)),
      );
    } else {
      // Until that is stored the room waits, or the same frame would go again.
      this.#pauses.set(room, () => {});
      void this.#host.refused(item, problem).finally(() => this.#resume(room));
    }
  }

  #resume(room: string): void {
    this.#pauses.delete(room);
    this.flush();
  }

  #send(item: OutboxItem): void {
    const { client_id, room_id, text, reply_to } = item;
    const frame = {
      op: 'send',
      ref: client_id,
      room_id,
      client_id,
      text,
      ...(reply_to ? { reply_to } : {}),
    };
    if (!this.#host.put(frame)) return;
    const cancel = this.#clock.after(ANSWER_TIMEOUT_MS, () => {
      this.#flying.delete(room_id);
      this.flush();
    });
    this.#flying.set(room_id, { clientId: client_id, cancel });
  }

  #land(clientId: string): string | undefined {
    for (const [room, flight] of this.#flying)
      if (flight.clientId === clientId) {
        flight.cancel();
        this.#flying.delete(room);
        return room;
      }
    return undefined;
  }
}
