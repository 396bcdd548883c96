import type { User } from '../wire';
import { matches } from './hangul';
import { linkify, type Piece } from './linkify';

/** What is being written after an @: where the @ stands, and what follows up to the caret. */
export interface Token {
  start: number;
  query: string;
}

// Not in the middle of a word: what stands there is an address.
const TOKEN_RE = /(?<![\p{L}\p{N}_.@-])@([^\s@]{0,32})$/u;
const MOST = 50;

/** The mention the caret stands in, if it does. */
export function tokenAt(text: string, caret: number): Token | undefined {
  const match = TOKEN_RE.exec(text.slice(0, caret));
  return match ? { start: match.index, query: match[1] ?? '' } : undefined;
}

/** Who is meant by what was written so far, the likeliest first. */
export function suggest(people: User[], query: string): User[] {
  const ranked = people.flatMap((user) => {
    const ranks = [matches(user.name, query), matches(user.username, query)];
    const found = ranks.filter((rank) => rank !== undefined);
    return found.length ? { user, rank: Math.min(...found) } : [];
  });
  ranked.sort((a, b) => a.rank - b.rank || label(a.user).localeCompare(label(b.user)));
  return ranked.slice(0, MOST).map(({ user }) => user);
}

const label = (user: User) => user.name || user.username;

export type RichPiece = Piece & { user?: User };

/** Text with its links, and with the mentions that the server found somebody for. */
export function richText(text: string, mentioned: User[]): RichPiece[] {
  const pieces = linkify(text);
  if (!mentioned.length) return pieces;
  const byName = new Map(mentioned.map((user) => [user.username.toLowerCase(), user]));
  const names = [...byName.keys()].sort((a, b) => b.length - a.length).map(escaped);
  // A name goes on for as long as a username can, as it does for the server.
  const finder = new RegExp(
    `(?<![\\p{L}\\p{N}\\p{M}._-])@(${names.join('|')})(?![._-]?[\\p{L}\\p{N}\\p{M}])`,
    'giu',
  );
  return pieces.flatMap((piece) => (piece.href ? piece : split(piece.text, finder, byName)));
}

function split(text: string, finder: RegExp, byName: Map<string, User>): RichPiece[] {
  const pieces: RichPiece[] = [];
  let at = 0;
  for (const match of text.matchAll(finder)) {
    const user = byName.get((match[1] ?? '').toLowerCase());
    if (!user) continue;
    if (match.index > at) pieces.push({ text: text.slice(at, match.index) });
    pieces.push({ text: match[0], user });
    at = match.index + match[0].length;
  }
  if (at < text.length) pieces.push({ text: text.slice(at) });
  return pieces;
}

const escaped = (name: string) => name.replace(/[.*+?^${}()|[\]\\-]/g, '\\$&');
