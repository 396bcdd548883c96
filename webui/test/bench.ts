import { type Api, ApiError } from '../src/engine/api';
import { makeCalls } from '../src/engine/calls';
import { Store } from '../src/engine/db';
import { Engine } from '../src/engine/engine';
import type { Calls, News } from '../src/engine/port';
import { Roster } from '../src/engine/roster';
import type { Message } from '../src/wire';
import { entry, me, TestClock, TestSocket } from './things';

/** A device: the engine over a real store, with the test as its server. */
export class Bench {
  clock = new TestClock();
  sockets: TestSocket[] = [];
  news: News[] = [];
  gets: string[] = [];
  answers: Record<string, unknown> = {
    '/v1/me': me,
    '/v1/sync?limit=0': { cursor: 'c0' },
    '/v1/rooms?limit=100': { rooms: [entry('r1', { last_seq: 2, read_seq: 2, unread: 0 })] },
  };
  store!: Store;
  engine!: Engine;
  calls!: Calls;

  async start(): Promise<void> {
    this.store = await Store.open();
    const answer = async (path: string) => {
      this.gets.push(path);
      const found = this.answers[path] ?? this.answers[path.split('?')[0] ?? ''];
      if (found instanceof ApiError) throw found;
      if (found === undefined) throw new ApiError({ code: 'not_found', status: 404 });
      return found;
    };
    const api = { get: answer, send: (_: string, path: string) => answer(path) } as unknown as Api;
    this.engine = new Engine({
      store: this.store,
      api,
      clock: this.clock,
      origin: 'https://chat.example',
      openSocket: () => {
        const socket = new TestSocket();
        this.sockets.push(socket);
        return socket;
      },
      tell: (news) => this.news.push(structuredClone(news)),
    });
    this.calls = makeCalls(this.engine, new Roster(this.engine));
    await this.engine.start();
  }

  get socket(): TestSocket {
    return this.sockets.at(-1) as TestSocket;
  }

  async live(cursor = 'c0'): Promise<void> {
    this.socket.onopen?.();
    const welcome = { op: 'welcome', user: me, device_id: 'd1', heartbeat_ms: 25_000, cursor };
    this.socket.tell({ ...welcome, server_time: new Date(this.clock.time).toISOString() });
    this.socket.tell({ op: 'synced', cursor });
    await this.settled();
  }

  /** Everything that was under way is done: the queue is a barrier. */
  async settled(): Promise<void> {
    for (let i = 0; i < 5; i++) await this.engine.serial(async () => {});
  }

  async event(cursor: string, ...messages: Message[]): Promise<void> {
    const events = messages.map((m) => ({ cursor, event: { type: 'message', message: m } }));
    this.socket.tell({ op: 'events', events });
    await this.settled();
  }

  async close(): Promise<void> {
    await this.settled();
    this.engine.link.stop();
    this.store.close();
  }
}
