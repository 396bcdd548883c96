import { expect, test } from 'vitest';
import { ago, badge, clock, dayLine, hueOf, initials, listTime } from '../src/lib/format';

const at = (text: string) => new Date(text).toISOString();
const now = new Date('2026-11-22T15:00:00').getTime();

test('clock and day line in the reader’s language', () => {
  expect(clock('en-US', at('2026-11-22T14:03:00'))).toMatch(/^2:03\sPM$/u);
  expect(clock('ko-KR', at('2026-11-22T14:03:00'))).toBe('오후 2:03');
  expect(dayLine('ko-KR', at('2026-11-22T01:00:00'), now)).toBe('11월 22일 일요일');
  expect(dayLine('en-US', at('2025-11-22T01:00:00'), now)).toBe('Saturday, November 22, 2025');
});

test('the room list shows as much of a time as is needed', () => {
  const show = (time: string) => listTime('en-US', at(time), now, 'Yesterday');
  expect(show('2026-11-22T00:01:00')).toMatch(/^12:01\sAM$/u);
  expect(show('2026-11-21T23:59:00')).toBe('Yesterday');
  expect(show('2026-11-18T12:00:00')).toBe('Wed');
  expect(show('2026-03-02T12:00:00')).toBe('Mar 2');
  expect(show('2024-03-02T12:00:00')).toBe('3/2/2024');
});

test('ago', () => {
  expect(ago('en', at('2026-11-22T14:59:40'), now)).toBe('now');
  expect(ago('en', at('2026-11-22T14:55:00'), now)).toBe('5 minutes ago');
  expect(ago('ko', at('2026-11-22T12:00:00'), now)).toBe('3시간 전');
  expect(ago('ko', at('2026-11-21T12:00:00'), now)).toBe('어제');
  expect(ago('en', at('2026-11-22T15:04:00'), now)).toBe('now');
});

test('badge', () => {
  expect([1, 99, 100, 4000].map(badge)).toEqual(['1', '99', '99+', '99+']);
});

test('initials', () => {
  expect(initials('Ada Lovelace')).toBe('AL');
  expect(initials('maya')).toBe('M');
  expect(initials('김민지')).toBe('민지');
  expect(initials('민지'.normalize('NFD'))).toBe('민지');
  expect(initials('주말 등산 모임')).toBe('주모');
  expect(initials('👩‍🚀 Sam')).toBe('👩‍🚀S');
  expect(initials('  ')).toBe('?');
});

test('a person keeps their colour', () => {
  expect(hueOf('u1')).toBe(hueOf('u1'));
  const hues = new Set(Array.from({ length: 60 }, (_, i) => hueOf(`user-${i}`)));
  expect(hues.size).toBe(8);
});
