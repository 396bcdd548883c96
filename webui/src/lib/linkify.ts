export type Piece = { text: string; href?: string };

const URL_RE = /https?:\/\/[^\s<>"'`\u3000-\u303f\uff00-\uffef]+/giu;
// Korean particles follow a link without a space: https://natter.dev/가이드를 keeps its
// path, https://natter.dev를 loses the particle, since a host has no Hangul after its dot.
const AFTER_HOST = /^(https?:\/\/[a-z0-9.-]+\.[a-z]{2,}(?::\d+)?)(?=[\uac00-\ud7a3])/iu;

/** Splits text into plain pieces and http(s) links. Nothing else becomes a link. */
export function linkify(text: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (const match of text.matchAll(URL_RE)) {
    const url = trimmed(AFTER_HOST.exec(match[0])?.[1] ?? match[0]);
    if (!isHttp(url)) continue;
    if (match.index > at) pieces.push({ text: text.slice(at, match.index) });
    pieces.push({ text: url, href: url });
    at = match.index + url.length;
  }
  if (at < text.length) pieces.push({ text: text.slice(at) });
  return pieces;
}

/** Without the punctuation of the sentence around it; brackets stay if they pair up. */
function trimmed(url: string): string {
  let end = url.length;
  for (;;) {
    const last = url[end - 1] ?? '';
    const body = url.slice(0, end);
    if ('.,;:!?…”’»'.includes(last)) end--;
    else if (last === ')' && count(body, ')') > count(body, '(')) end--;
    else if (last === ']' && count(body, ']') > count(body, '[')) end--;
    else return body;
  }
}

function count(text: string, char: string): number {
  return text.split(char).length - 1;
}

function isHttp(url: string): boolean {
  try {
    const { protocol, hostname } = new URL(url);
    return (protocol === 'http:' || protocol === 'https:') && hostname !== '';
  } catch {
    return false;
  }
}
