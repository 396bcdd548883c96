import { beforeEach, expect, test } from 'vitest';
import { fullJitter, isTemporary, meaningOf } from '../src/engine/backoff';
import { Link, type Phase } from '../src/engine/link';
import { TestClock, TestSocket } from './things';

let clock: TestClock;
let sockets: TestSocket[];
let phases: Phase[];
let signedOut: string[];
let link: Link;
const last = () => sockets.at(-1) as TestSocket;

beforeEach(() => {
  clock = new TestClock();
  sockets = [];
  phases = [];
  signedOut = [];
  link = new Link(
    () => {
      sockets.push(new TestSocket());
      return last();
    },
    clock,
    {
      phase: (phase) => phases.push(phase),
      hello: () => ({ cursor: 'c7' }),
      frame: () => {},
      signedOut: (reason) => signedOut.push(reason),
    },
  );
  link.start();
});

function goLive(): TestSocket {
  last().onopen?.();
  last().tell({ op: 'welcome', heartbeat_ms: 10_000 });
  last().tell({ op: 'synced', cursor: 'c7' });
  return last();
}

test('hello comes first and brings the cursor, no token', () => {
  goLive();
  expect(last().sent[0]).toEqual({ op: 'hello', ref: 'hello', client: 'natter-web', cursor: 'c7' });
  expect(phases).toEqual(['connecting', 'syncing', 'live']);
});

test('nothing is sent before welcome', () => {
  last().onopen?.();
  expect(link.send({ op: 'typing' })).toBe(false);
  last().tell({ op: 'welcome', heartbeat_ms: 10_000 });
  expect(link.send({ op: 'typing' })).toBe(true);
});

test('a ping each beat in which nothing else was sent', () => {
  const socket = goLive();
  clock.pass(9_000);
  link.send({ op: 'typing' });
  socket.tell({ op: 'pong' });
  clock.pass(9_000);
  expect(socket.ops('ping')).toHaveLength(0);
  clock.pass(1_000);
  expect(socket.ops('ping')).toHaveLength(1);
});

test('a server silent for two and a half beats is given up', () => {
  const socket = goLive();
  clock.pass(24_999);
  expect(link.phase).toBe('live');
  clock.pass(1);
  expect(socket.closed).toBe(true);
  expect(link.phase).toBe('waiting');
});

test('a socket that never answers hello is given up', () => {
  last().onopen?.();
  clock.pass(10_000);
  expect(link.phase).toBe('waiting');
});

test('the pauses double up to 30 s and start anew after a success', () => {
  clock.dice = 0.999999;
  const pauses: number[] = [];
  for (let i = 0; i < 9; i++) {
    last().onclose?.({ code: 1006 });
    const before = clock.time;
    const count = sockets.length;
    while (sockets.length === count) clock.pass(1);
    pauses.push(clock.time - before);
  }
  expect(pauses).toEqual([499, 999, 1999, 3999, 7999, 15999, 29999, 29999, 29999]);
  goLive();
  last().onclose?.({ code: 1006 });
  clock.pass(500);
  expect(link.phase).toBe('connecting');
});

test('the jitter is full, and a delay the server asked for is a floor', () => {
  expect(fullJitter(3, () => 0)).toBe(0);
  expect(fullJitter(3, () => 0.5)).toBe(2000);
  expect(fullJitter(3, () => 0, 1500)).toBe(1500);
});

test('hurry connects at once, but leaves a good connection alone', () => {
  goLive();
  link.hurry();
  expect(sockets).toHaveLength(1);
  last().onclose?.({ code: 1006 });
  link.hurry();
  expect(sockets).toHaveLength(2);
});

test('what a close code asks for', () => {
  expect(meaningOf(1006).what).toBe('reconnect');
  expect(meaningOf(4001).what).toBe('reconnect');
  expect(meaningOf(4500)).toEqual({ what: 'sign-in', reason: 'unauthenticated' });
  expect(meaningOf(4501)).toEqual({ what: 'sign-in', reason: 'revoked' });
  expect(meaningOf(4502).what).toBe('stop');
  expect(meaningOf(4503)).toEqual({ what: 'stop', reason: 'too_many_connections' });
});

test('a revoked session stops and says so', () => {
  goLive();
  last().onclose?.({ code: 4501 });
  expect(signedOut).toEqual(['revoked']);
  clock.pass(120_000);
  expect(sockets).toHaveLength(1);
});

test('too many connections: no retry without the person', () => {
  last().onclose?.({ code: 4503 });
  clock.pass(120_000);
  expect(link.phase).toBe('stopped');
  expect(sockets).toHaveLength(1);
});

test('move: another connection at a random moment within the time given', () => {
  const first = goLive();
  first.tell({ op: 'move', within_ms: 4000 });
  clock.pass(1999);
  expect(sockets).toHaveLength(1);
  clock.pass(1);
  expect(first.closed).toBe(true);
  expect(sockets).toHaveLength(2);
});

test('an old socket that still speaks is not heard', () => {
  const first = last();
  first.onclose?.({ code: 1006 });
  clock.pass(500);
  first.onmessage?.({ data: '{"op":"welcome"}' });
  expect(link.phase).toBe('connecting');
});

test('which refusals pass by themselves', () => {
  expect(['unavailable', 'too_many', 'internal'].every(isTemporary)).toBe(true);
  expect(['invalid', 'too_large', 'not_found', 'forbidden'].some(isTemporary)).toBe(false);
});

test('a node that leaves and closes before our moment: the moment stays', () => {
  const socket = goLive();
  const opened = sockets.length;
  socket.tell({ op: 'move', nodes: [], within_ms: 10_000 });
  clock.pass(1000);
  socket.onclose?.({ code: 4000 });
  expect(link.phase).toBe('waiting');
  clock.pass(3999);
  expect(sockets).toHaveLength(opened);
  clock.pass(1);
  expect(sockets).toHaveLength(opened + 1);
});
