import { expect, test } from 'vitest';
import { linkify } from '../src/lib/linkify';

const links = (text: string) => linkify(text).flatMap((piece) => piece.href ?? []);

test('nothing is lost', () => {
  const text = 'a https://a.example b http://b.example/c?d=e#f. end';
  expect(
    linkify(text)
      .map((p) => p.text)
      .join(''),
  ).toBe(text);
});

test('only http and https', () => {
  expect(
    links('javascript:alert(1) data:text/html,x ftp://a.example file:///etc mailto:a@b.example'),
  ).toEqual([]);
  expect(links('http://a.example https://b.example')).toEqual([
    'http://a.example',
    'https://b.example',
  ]);
});

test('the sentence keeps its punctuation', () => {
  expect(links('See https://a.example/b.')).toEqual(['https://a.example/b']);
  expect(links('(https://a.example/b)')).toEqual(['https://a.example/b']);
  expect(links('https://a.example/wiki/Rust_(language)')).toEqual([
    'https://a.example/wiki/Rust_(language)',
  ]);
  expect(links('“https://a.example?” <https://b.example>')).toEqual([
    'https://a.example',
    'https://b.example',
  ]);
});

test('a Korean particle after the host is not part of it; in a path it may be', () => {
  expect(links('https://natter.example를 보세요')).toEqual(['https://natter.example']);
  expect(links('https://natter.example/가이드 참고')).toEqual(['https://natter.example/가이드']);
});

test('what only looks like one', () => {
  expect(links('https:// http://? https://')).toEqual([]);
});
