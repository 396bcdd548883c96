import type { Problem } from '../wire';
import { ApiError } from './api';
import type { Calls, News, Port, ToEngine, ToTab } from './port';
import { uuidv7 } from './uuid';
import EngineWorker from './worker?sharedworker';

/**
 * A tab's way to the engine: in the SharedWorker, or where there is none, in this
 * page. Two pages with an engine each do no harm: what both receive is kept once by
 * room and seq, and what both send has the same client_id.
 */
export async function connectEngine(onNews: (news: News) => void): Promise<{ calls: Calls }> {
  const port = await openPort();
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let asked = 0;
  const post = (message: ToEngine) => port.postMessage(message);

  port.onmessage = ({ data }: MessageEvent<ToTab>) => {
    if (data.t === 'news') return onNews(data.news);
    const caller = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.t === 'answer') caller?.resolve(data.value);
    else caller?.reject(new ApiError(data.problem as Problem));
  };

  const tab = uuidv7(Date.now());
  const hello = () => {
    post({ t: 'hi', tab });
    post({ t: 'visible', visible: !document.hidden });
  };
  if (navigator.locks)
    await new Promise<void>((held) => {
      void navigator.locks.request(`natter-tab-${tab}`, () => {
        held();
        return new Promise(() => {});
      });
    });
  hello();
  addEventListener('pagehide', () => post({ t: 'bye' }));
  addEventListener('pageshow', (event) => event.persisted && hello());
  document.addEventListener('visibilitychange', () =>
    post({ t: 'visible', visible: !document.hidden }),
  );
  addEventListener('online', () => post({ t: 'call', id: 0, name: 'hurry', args: [] }));

  const calls = new Proxy({} as Calls, {
    get:
      (_, name: keyof Calls) =>
      (...args: unknown[]) =>
        new Promise((resolve, reject) => {
          const id = ++asked;
          waiting.set(id, { resolve, reject });
          post({ t: 'call', id, name, args });
        }),
  });
  // In an object of its own: a proxy that answers to every name answers to `then`.
  return { calls };
}

async function openPort(): Promise<Port> {
  if (typeof SharedWorker === 'function') {
    // Named by its hash: tabs of another build have an engine of their own.
    const worker = new EngineWorker({ name: 'natter' });
    worker.port.start();
    return worker.port;
  }
  const { openHub } = await import('./hub');
  const { port1, port2 } = new MessageChannel();
  openHub().connect(port2);
  return port1;
}
