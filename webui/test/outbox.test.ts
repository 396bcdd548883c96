import { beforeEach, expect, test } from 'vitest';
import type { OutboxItem } from '../src/engine/db';
import { Outbox } from '../src/engine/outbox';
import type { ClientFrame, Problem } from '../src/wire';
import { item, TestClock } from './things';

let clock: TestClock;
let items: OutboxItem[];
let frames: ClientFrame[];
let refused: [string, string][];
let outbox: Outbox;

beforeEach(() => {
  clock = new TestClock();
  items = [];
  frames = [];
  refused = [];
  outbox = new Outbox(
    {
      items: () => items,
      put: (frame) => frames.push(frame) > 0,
      refused: async (it: OutboxItem, problem: Problem) => {
        it.failed = { code: problem.code };
        refused.push([it.client_id, problem.code]);
      },
    },
    clock,
  );
});

const sent = () => frames.map((frame) => frame.ref);
function settle(id: string) {
  items = items.filter((i) => i.client_id !== id);
  outbox.done(id);
}

test('nothing goes before the connection has caught up', () => {
  items = [item('a', 1)];
  outbox.flush();
  expect(frames).toEqual([]);
  outbox.connected();
  expect(frames).toEqual([{ op: 'send', ref: 'a', room_id: 'r1', client_id: 'a', text: 'a' }]);
});

test('one at a time in a room, in order; rooms do not wait for each other', () => {
  items = [item('a', 1), item('b', 2), item('x', 3, { room_id: 'r2' })];
  outbox.connected();
  expect(sent()).toEqual(['a', 'x']);
  settle('a');
  expect(sent()).toEqual(['a', 'x', 'b']);
});

test('after a loss the same ids go again', () => {
  items = [item('a', 1)];
  outbox.connected();
  outbox.lost();
  outbox.connected();
  expect(sent()).toEqual(['a', 'a']);
});

test('a temporary refusal waits as long as asked, and nothing overtakes it', () => {
  items = [item('a', 1), item('b', 2)];
  outbox.connected();
  outbox.refusal('a', { code: 'too_many', retry_after_ms: 5000 });
  clock.pass(4999);
  expect(sent()).toEqual(['a']);
  clock.pass(1);
  expect(sent()).toEqual(['a', 'a']);
  expect(refused).toEqual([]);
});

test('a refusal for good leaves the message to the person, and the next goes', async () => {
  items = [item('a', 1), item('b', 2)];
  outbox.connected();
  outbox.refusal('a', { code: 'too_large' });
  expect(refused).toEqual([['a', 'too_large']]);
  await Promise.resolve();
  await Promise.resolve();
  expect(sent()).toEqual(['a', 'b']);
});

test('no answer: the same again', () => {
  items = [item('a', 1)];
  outbox.connected();
  clock.pass(15_000);
  expect(sent()).toEqual(['a', 'a']);
});

test('an error that is not ours is left alone', () => {
  items = [item('a', 1)];
  outbox.connected();
  outbox.refusal('read r1 5', { code: 'invalid' });
  expect(refused).toEqual([]);
});
