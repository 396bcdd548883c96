// Names as they are looked for: letter by letter, so that a syllable still in the
// making finds what it is going to be. 이서준 is typed 이 → 잇 → 이서 → 이섲 → 이서주:
// the ㅅ that ends 잇 and the ㅅ that begins 서 must be the same letter.

const LEAD = [...'ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ'];
const VOWEL = 'ㅏ ㅐ ㅑ ㅒ ㅓ ㅔ ㅕ ㅖ ㅗ ㅗㅏ ㅗㅐ ㅗㅣ ㅛ ㅜ ㅜㅓ ㅜㅔ ㅜㅣ ㅠ ㅡ ㅡㅣ ㅣ'.split(
  ' ',
);
const TAIL =
  ' ㄱ ㄲ ㄱㅅ ㄴ ㄴㅈ ㄴㅎ ㄷ ㄹ ㄹㄱ ㄹㅁ ㄹㅂ ㄹㅅ ㄹㅌ ㄹㅍ ㄹㅎ ㅁ ㅂ ㅂㅅ ㅅ ㅆ ㅇ ㅈ ㅊ ㅋ ㅌ ㅍ ㅎ'.split(
    ' ',
  );
/** Letters that stand alone and are typed as two. */
const DOUBLE: Record<string, string> = Object.fromEntries(
  [...'ㅘㅙㅚㅝㅞㅟㅢㄳㄵㄶㄺㄻㄼㄽㄾㄿㅀㅄ'].map((letter, i) => [
    letter,
    'ㅗㅏ ㅗㅐ ㅗㅣ ㅜㅓ ㅜㅔ ㅜㅣ ㅡㅣ ㄱㅅ ㄴㅈ ㄴㅎ ㄹㄱ ㄹㅁ ㄹㅂ ㄹㅅ ㄹㅌ ㄹㅍ ㄹㅎ ㅂㅅ'.split(
      ' ',
    )[i] ?? letter,
  ]),
);

const FIRST = 0xac00;
const LAST = 0xd7a3;

function ofChar(char: string): string {
  const code = (char.codePointAt(0) ?? 0) - FIRST;
  if (code < 0 || code > LAST - FIRST) return DOUBLE[char] ?? char;
  const lead = LEAD[Math.floor(code / 588)] ?? '';
  const vowel = VOWEL[Math.floor((code % 588) / 28)] ?? '';
  return lead + vowel + (TAIL[code % 28] ?? '');
}

/** Without case and accents; Hangul as the letters that are typed, each character apart. */
function spelled(text: string): string[] {
  const plain = text.normalize('NFC').toLocaleLowerCase();
  return [...plain].map((char) => {
    const letters = ofChar(char);
    return letters === char ? char.normalize('NFD').replace(/\p{M}/gu, '') || char : letters;
  });
}

/**
 * How well the query finds the text: 0 at its beginning, 1 at the beginning of a
 * word, 2 at a later syllable or letter, undefined not at all. A query of consonants
 * alone finds syllables by their first letters: ㄱㅁㅈ finds 김민지.
 */
export function matches(text: string, query: string): number | undefined {
  const chars = spelled(text);
  const wanted = spelled(query);
  const letters = wanted.join('');
  const initials = chars.map((c) => c[0] ?? '').join('');
  const consonants = letters !== '' && [...letters].every((letter) => LEAD.includes(letter));
  let best: number | undefined;
  for (let at = 0; at < Math.max(1, chars.length); at++) {
    const here =
      chars.slice(at).join('').startsWith(letters) ||
      (consonants && initials.startsWith(letters, at));
    if (!here) continue;
    const rank = at === 0 ? 0 : /[\s._-]/.test(chars[at - 1] ?? '') ? 1 : 2;
    best = Math.min(best ?? rank, rank);
  }
  return best;
}
