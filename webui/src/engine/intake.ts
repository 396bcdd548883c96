import type { ServerFrame } from '../wire';
import type { Engine } from './engine';
import { Outcome } from './world';

const ACK_EVERY_MS = 400;

/** Takes in what the socket brings: news of the moment at once, the rest in order. */
export class Intake {
  #engine: Engine;
  #pending: ServerFrame[] = [];
  #ackWaits = false;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** The connection is gone, and with it what was not taken in yet: it comes again. */
  drop(): void {
    this.#pending = [];
  }

  frame(frame: ServerFrame): void {
    switch (frame.op) {
      case 'presence': {
        const { op: _, ...presence } = frame;
        this.#engine.presence.set(presence.user_id, presence);
        return this.#engine.deps.tell({ presence: [presence] });
      }
      case 'typing':
        if (frame.user_id === this.#engine.world?.me.id) return;
        return this.#engine.deps.tell({
          typing: { room_id: frame.room_id, user_id: frame.user_id },
        });
      case 'delivered':
        return this.#engine.deps.tell({ delivered: frame });
      case 'pong':
        return;
      case 'move':
        void this.#engine.move(frame.nodes ?? []).catch(() => {});
        return;
    }
    this.#pending.push(frame);
    if (this.#pending.length === 1)
      void this.#engine
        .serial(() => this.#take())
        .catch(() => {
          // Not stored, so not told and not acknowledged: it comes again.
          this.#engine.link.again();
        });
  }

  /** Applies everything that has come by now: many frames, one transaction. */
  async #take(): Promise<void> {
    const frames = this.#pending;
    this.#pending = [];
    let out = new Outcome();
    let cursor: string | undefined;
    const flush = async () => {
      if (cursor) await this.#engine.publish(out, cursor);
      if (cursor) this.#ackSoon();
      out = new Outcome();
      cursor = undefined;
    };
    for (const frame of frames) {
      if (!this.#engine.world) return;
      if (frame.op === 'event') {
        this.#engine.world.apply(frame.event, out);
        cursor = frame.cursor;
      } else if (frame.op === 'events')
        for (const placed of frame.events) {
          this.#engine.world.apply(placed.event, out);
          cursor = placed.cursor;
        }
      else {
        await flush();
        await this.#control(frame);
      }
    }
    await flush();
  }

  async #control(frame: ServerFrame): Promise<void> {
    const world = this.#engine.world;
    if (!world) return;
    if (frame.op === 'welcome') {
      if (frame.user.id !== world.me.id) {
        this.#engine.link.stop();
        // Not awaited: begin needs the queue that we are standing in.
        void this.#engine.begin(frame.user, frame.device_id);
        return;
      }
      this.#engine.deviceId = frame.device_id;
      this.#engine.clockOffset = Date.parse(frame.server_time) - this.#engine.deps.clock.now();
      this.#engine.node = frame.node;
      const meta = { device_id: this.#engine.deviceId, clock_offset: this.#engine.clockOffset };
      await this.#engine.deps.store.commit({ meta: { ...meta, node: frame.node } });
      this.#engine.deps.tell({ ...meta, elsewhere: this.#engine.elsewhere });
    } else if (frame.op === 'reset') {
      const out = new Outcome();
      world.list(await this.#engine.allRooms(), out);
      await this.#engine.publish(out, frame.cursor, { reset: true });
      this.#engine.onListed();
    } else if (frame.op === 'synced') {
      await this.#engine.publish(new Outcome(), frame.cursor);
      this.#ackSoon();
      for (const [room_id, seq] of this.#engine.reads)
        this.#engine.link.send({ op: 'read', ref: `read ${room_id} ${seq}`, room_id, seq });
      this.#engine.outbox.connected();
      this.#engine.drafts.connected();
      this.#engine.onLive();
    } else if (frame.op === 'sent') await this.#sent(frame);
    else if (frame.op === 'ok') {
      if (frame.ref.startsWith('read ')) await this.#readConfirmed(frame.ref);
      else this.#engine.requests.answer(frame.ref);
    } else if (frame.op === 'error' && frame.ref) {
      if (frame.ref.startsWith('read ')) await this.#readConfirmed(frame.ref);
      this.#engine.outbox.refusal(frame.ref, frame.problem);
      this.#engine.requests.answer(frame.ref, frame.problem);
    }
  }

  /** On disk over there: the item becomes the message it was always going to be. */
  async #sent(frame: ServerFrame & { op: 'sent' }): Promise<void> {
    const item = this.#engine.world?.outbox.find((i) => i.client_id === frame.ref);
    if (item && this.#engine.world) {
      const { room_id, client_id, text, reply_to } = item;
      const out = new Outcome();
      this.#engine.world.message(
        {
          id: frame.message_id,
          seq: frame.seq,
          created_at: frame.created_at,
          sender_id: this.#engine.world.me.id,
          kind: 'text',
          room_id,
          client_id,
          text,
          ...(reply_to ? { reply_to } : {}),
        },
        out,
      );
      await this.#engine.publish(out);
    }
    this.#engine.outbox.done(frame.ref);
  }

  async #readConfirmed(ref: string): Promise<void> {
    const [, room = '', seq] = ref.split(' ');
    if ((this.#engine.reads.get(room) ?? 0) <= Number(seq)) this.#engine.reads.delete(room);
    await this.#engine.deps.store.commit({
      meta: { reads: Object.fromEntries(this.#engine.reads) },
    });
  }

  #ackSoon(): void {
    if (this.#ackWaits) return;
    this.#ackWaits = true;
    this.#engine.deps.clock.after(ACK_EVERY_MS, () => {
      this.#ackWaits = false;
      if (this.#engine.cursor) this.#engine.link.send({ op: 'ack', cursor: this.#engine.cursor });
    });
  }
}
