import { expect, test } from 'vitest';
import { ApiError } from '../src/engine/api';
import type { Engine } from '../src/engine/engine';
import { Hub } from '../src/engine/hub';
import type { Calls, Port, ToEngine, ToTab } from '../src/engine/port';
import { TestClock } from './things';

const clock = new TestClock();

function stage() {
  const sent: string[] = [];
  const told: string[] = [];
  const engine = {
    whole: () => ({ whole: true, auth: { state: 'in' } }),
    drafts: { tellAll: () => told.push('drafts') },
    link: { hurry: () => {}, send: ({ status }: { status: string }) => sent.push(status) > 0 },
  } as unknown as Engine;
  const calls = {
    findPeople: async (query: string) => [{ id: 'u1', username: query, name: query }],
    rename: async () => {
      throw new ApiError({ code: 'forbidden' });
    },
  } as unknown as Calls;
  const hub = new Hub(clock, async () => ({ engine, calls }));
  const tab = () => {
    const got: ToTab[] = [];
    const port: Port = { postMessage: (message) => got.push(message as ToTab), onmessage: null };
    hub.connect(port);
    const say = async (message: ToEngine) => {
      port.onmessage?.({ data: message } as MessageEvent);
      for (let i = 0; i < 10; i++) await Promise.resolve();
    };
    return { got, say };
  };
  return { hub, tab, sent, told };
}

test('a tab that says hi gets everything, then the news that all get', async () => {
  const { hub, tab } = stage();
  const [a, b] = [tab(), tab()];
  await a.say({ t: 'hi', tab: 'a' });
  hub.tell({ reset: true });
  await b.say({ t: 'hi', tab: 'b' });
  hub.tell({ conn: { phase: 'live' } });
  const kinds = (got: ToTab[]) => got.map((m) => (m.t === 'news' ? Object.keys(m.news)[0] : m.t));
  expect(kinds(a.got)).toEqual(['whole', 'reset', 'conn']);
  expect(kinds(b.got)).toEqual(['whole', 'conn']);
});

test('a call is answered to the one who asked, a refusal as a refusal', async () => {
  const { tab } = stage();
  const [a, b] = [tab(), tab()];
  await a.say({ t: 'call', id: 1, name: 'findPeople', args: ['tom'] });
  await a.say({ t: 'call', id: 2, name: 'rename', args: ['r1', 'x'] });
  expect(a.got).toMatchObject([
    { t: 'answer', id: 1, value: [{ username: 'tom' }] },
    { t: 'refusal', id: 2, problem: { code: 'forbidden' } },
  ]);
  expect(b.got).toEqual([]);
});

test('away when nobody has looked for a minute, online when somebody does', async () => {
  const { tab, sent } = stage();
  const [a, b] = [tab(), tab()];
  for (const t of [a, b]) await t.say({ t: 'visible', visible: true });
  await a.say({ t: 'visible', visible: false });
  clock.pass(70_000);
  expect(sent).toEqual([]);
  await b.say({ t: 'bye' });
  clock.pass(59_999);
  expect(sent).toEqual([]);
  clock.pass(1);
  expect(sent).toEqual(['away']);
  await a.say({ t: 'visible', visible: true });
  expect(sent).toEqual(['away', 'online']);
});

test('without storage a tab is told so', async () => {
  const hub = new Hub(clock, () => Promise.reject(new Error('no storage')));
  const got: ToTab[] = [];
  const port: Port = { postMessage: (m) => got.push(m as ToTab), onmessage: null };
  hub.connect(port);
  port.onmessage?.({ data: { t: 'hi', tab: 'a' } } as MessageEvent);
  for (let i = 0; i < 10; i++) await Promise.resolve();
  expect(got).toEqual([{ t: 'news', news: { whole: true, auth: { state: 'broken' } } }]);
});

test('a page that is hidden or closed has its drafts told at once', async () => {
  const { tab, told } = stage();
  const { say } = tab();
  await say({ t: 'hi', tab: 'a' });
  await say({ t: 'visible', visible: true });
  expect(told).toEqual([]);
  await say({ t: 'visible', visible: false });
  expect(told).toHaveLength(1);
  await say({ t: 'bye' });
  expect(told).toHaveLength(2);
});
