import { makeApi, problemOf } from './api';
import { makeCalls } from './calls';
import { Store } from './db';
import { Engine } from './engine';
import type { Clock, Socket } from './link';
import type { Calls, News, Port, ToEngine, ToTab } from './port';
import { Roster } from './roster';

const AWAY_AFTER_MS = 60_000;

interface Tab {
  port: Port;
  visible: boolean;
  greeted: boolean;
}

/** The engine with its tabs: news goes to all, calls are answered to the one. */
export class Hub {
  #tabs = new Set<Tab>();
  #engine: Promise<{ engine: Engine; calls: Calls }>;
  #clock: Clock;
  #status = 'online';
  #cancelAway = () => {};

  constructor(clock: Clock, open: () => Promise<{ engine: Engine; calls: Calls }>) {
    this.#clock = clock;
    this.#engine = open();
  }

  tell(news: News): void {
    for (const tab of this.#tabs) if (tab.greeted) post(tab.port, { t: 'news', news });
  }

  connect(port: Port): void {
    const tab: Tab = { port, visible: false, greeted: false };
    this.#tabs.add(tab);
    port.onmessage = ({ data }: MessageEvent<ToEngine>) => void this.#handle(tab, data);
  }

  async #handle(tab: Tab, message: ToEngine): Promise<void> {
    if (message.t === 'bye') {
      this.#tabs.delete(tab);
      void this.#engine.then(({ engine }) => engine.drafts.tellAll()).catch(() => {});
      return this.#watchful();
    }
    const opened = await this.#engine.catch(() => undefined);
    if (!opened)
      return post(tab.port, { t: 'news', news: { whole: true, auth: { state: 'broken' } } });
    const { engine, calls } = opened;
    if (message.t === 'hi') {
      tab.greeted = true;
      this.#tabs.add(tab);
      post(tab.port, { t: 'news', news: engine.whole() });
      this.#noticeDeath(tab, message.tab);
    } else if (message.t === 'visible') {
      tab.visible = message.visible;
      if (message.visible) engine.link.hurry();
      else engine.drafts.tellAll();
      await this.#watchful();
    } else {
      try {
        const call = calls[message.name] as (...args: unknown[]) => Promise<unknown>;
        post(tab.port, { t: 'answer', id: message.id, value: await call(...message.args) });
      } catch (error) {
        post(tab.port, { t: 'refusal', id: message.id, problem: problemOf(error) });
      }
    }
  }

  /** A tab holds a lock of its own name as long as it lives, however it ends. */
  #noticeDeath(tab: Tab, name: string): void {
    if (!navigator.locks) return;
    void navigator.locks.request(`natter-tab-${name}`, { mode: 'shared' }, () => {
      this.#tabs.delete(tab);
      return this.#watchful();
    });
  }

  /** Away once nobody has looked for a while; online the moment somebody does. */
  async #watchful(): Promise<void> {
    const engine = (await this.#engine.catch(() => undefined))?.engine;
    if (!engine) return;
    this.#cancelAway();
    const set = (status: string) => {
      if (status !== this.#status && engine.link.send({ op: 'status', ref: 'status', status }))
        this.#status = status;
    };
    if ([...this.#tabs].some((tab) => tab.visible)) set('online');
    else this.#cancelAway = this.#clock.after(AWAY_AFTER_MS, () => set('away'));
  }
}

/** The hub of this browser, with the real socket, clock and database. */
export function openHub(): Hub {
  const clock: Clock = {
    now: () => Date.now(),
    random: () => Math.random(),
    after(ms, run) {
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    },
  };
  const url = new URL('/v1/ws', location.origin.replace(/^http/, 'ws'));
  const hub = new Hub(clock, async () => {
    const engine = new Engine({
      store: await Store.open(),
      api: makeApi((input, init) => fetch(input, init)),
      clock,
      origin: location.origin,
      openSocket: () => new WebSocket(url, 'natter.v1') as Socket,
      tell: (news) => {
        if (news.reset) roster.distrust();
        hub.tell(news);
      },
    });
    const roster = new Roster(engine);
    const calls = makeCalls(engine, roster);
    self.addEventListener('online', () => engine.link.hurry());
    await engine.start();
    return { engine, calls };
  });
  return hub;
}

function post(port: Port, message: ToTab): void {
  port.postMessage(message);
}
