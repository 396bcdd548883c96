import { expect, test } from 'vitest';
import { matches } from '../src/lib/hangul';
import { richText, suggest, tokenAt } from '../src/lib/mention';
import { Suggestions } from '../src/lib/suggestions.svelte';
import type { User } from '../src/wire';

const user = (username: string, name: string): User => ({ id: username, username, name });
const people = [
  user('seojun', '이서준'),
  user('minji', '김민지'),
  user('maya', 'Maya Chen'),
  user('chen.li', 'Li'),
  user('jose', 'José'),
];
const found = (query: string) => suggest(people, query).map((u) => u.username);
const pieces = (text: string, ...names: string[]) =>
  richText(
    text,
    people.filter((u) => names.includes(u.username)),
  ).map((p) => (p.user ? `[${p.text}→${p.user.name}]` : p.href ? `<${p.text}>` : p.text));

test('a syllable in the making finds what it is going to be', () => {
  for (const typed of ['ㅇ', '이', '잇', '이서', '이섲', '이서주', '이서준'])
    expect(matches('이서준', typed), typed).toBe(0);
  for (const typed of ['과', '고']) expect(matches('과자', typed), typed).toBe(0);
  expect(matches('닭집', '달')).toBe(0);
  expect(matches('이서준', '서준')).toBe(2);
  expect(matches('이서준', '이소')).toBeUndefined();
  expect(matches('김아', '마')).toBeUndefined();
});

test('first letters find Korean names, accents and case don’t matter', () => {
  expect(matches('김민지', 'ㄱㅁㅈ')).toBe(0);
  expect(matches('김민지', 'ㅁㅈ')).toBe(2);
  expect(matches('José', 'JOS')).toBe(0);
  expect(matches('Jose', 'josé')).toBe(0);
  expect(matches('Maya Chen', 'chen')).toBe(1);
});

test('who is offered, and in which order', () => {
  expect(found('')).toHaveLength(people.length);
  expect(found('민')).toEqual(['minji']);
  expect(found('min')).toEqual(['minji']);
  expect(found('chen')).toEqual(['chen.li', 'maya']);
  expect(found('nobody')).toEqual([]);
});

test('where an @ begins a mention', () => {
  expect(tokenAt('hi @ma', 6)).toEqual({ start: 3, query: 'ma' });
  expect(tokenAt('@', 1)).toEqual({ start: 0, query: '' });
  expect(tokenAt('(@김ㅁ', 4)).toEqual({ start: 1, query: '김ㅁ' });
  expect(tokenAt('hi @ma and', 6)).toEqual({ start: 3, query: 'ma' });
  for (const text of ['mail@ma', '메일@ma', '@ma ', 'hi', '@@ma'])
    expect(tokenAt(text, text.length), text).toBeUndefined();
});

test('the list opens by writing, and closes by Esc, a space, or walking away', () => {
  const list = new Suggestions(() => people);
  list.look('@m', 2, false);
  expect(list.open).toBe(false);
  list.look('@m', 2, true);
  expect(list.chosen?.username).toBe('maya');
  list.move(1);
  expect(list.chosen?.username).toBe('minji');
  list.move(1);
  expect(list.chosen?.username).toBe('maya');
  list.look('@mi', 3, true);
  expect(list.options.map((u) => u.username)).toEqual(['minji']);
  list.dismiss();
  list.look('@min', 4, true);
  expect(list.open).toBe(false);
  list.look('@min @ma', 8, true);
  expect(list.open).toBe(true);
  expect(list.exact).toBe(false);
  list.look('@min @Maya', 10, true);
  expect(list.exact).toBe(true);
  list.look('@min @ma', 0, false);
  expect(list.open).toBe(false);
  list.look('@min @ma', 8, true);
  expect(list.take()).toBe(5);
  expect(list.open).toBe(false);
});

test('in a text, whom the server found stands out', () => {
  expect(pieces('hi @maya!', 'maya')).toEqual(['hi ', '[@maya→Maya Chen]', '!']);
  expect(pieces('hi @maya!')).toEqual(['hi @maya!']);
  expect(pieces('@Maya @tom', 'maya')).toEqual(['[@Maya→Maya Chen]', ' @tom']);
  expect(pieces('@minji, @minji님', 'minji')).toEqual(['[@minji→김민지]', ', @minji님']);
  expect(pieces('(@maya_)', 'maya')).toEqual(['(', '[@maya→Maya Chen]', '_)']);
  expect(pieces('@mayadeep x@maya', 'maya')).toEqual(['@mayadeep x@maya']);
  expect(pieces('@chen.li. ok', 'chen.li')).toEqual(['[@chen.li→Li]', '. ok']);
  expect(pieces('https://a.example/@maya @maya', 'maya')).toEqual([
    '<https://a.example/@maya>',
    ' ',
    '[@maya→Maya Chen]',
  ]);
});
