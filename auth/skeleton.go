package auth

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// skeleton maps a folded name to what it looks like: names with one skeleton
// are taken for one another by a quick eye (UTS 39 section 4). The table is our
// own and looks at what a username may hold, lower-case letters in the main; it
// is part of the stored format, as name keys are hashes of skeletons: it may
// only change together with a migration of name.*.
//
//	аdmin (Cyrillic а) ─▶ admln     rnax ─▶ max     g00gle ─▶ google
//	admin              ─▶ admln     max  ─▶ max     googie ─▶ google
func skeleton(folded string) string {
	var b strings.Builder
	for _, r := range folded {
		for _, base := range bare(r) {
			if like, ok := looksLike[base]; ok {
				b.WriteString(like)
				continue
			}
			b.WriteRune(base)
		}
	}
	return pairs.Replace(b.String())
}

// bare is r without its accents, in the scripts where an accent is easily
// overlooked; a kana's or a vowel's mark makes another letter and stays.
func bare(r rune) string {
	if r < 0x80 || !unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic) {
		return string(r)
	}
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(string(r)))
}

// pairs are neighbours that read as one letter. They come after the single
// letters, so that Cyrillic or accented ones count too.
var pairs = strings.NewReplacer("rn", "m", "vv", "w")

var looksLike = func() map[rune]string {
	table := map[rune]string{}
	for like, letters := range likes {
		for _, letter := range letters {
			table[letter] = like
		}
	}
	return table
}()

// likes lists under what each letter is taken for; no letter stands twice.
var likes = map[string]string{
	"a": "аαɑ", "b": "ьβƅв", "c": "сϲƈ", "d": "ԁđɗ", "e": "еєҽ", "f": "ƒſ", "g": "ցɡɠ", "h": "һհħн",
	"l": "i1ıіιӏłɩӀןاו", "j": "јϳ", "k": "кκƙ", "m": "мʍ", "n": "ոηпռŋƞ", "o": "0оοσօøסဝഠ",
	"p": "рρթƥ", "q": "ԛգզ", "r": "гřɍ", "s": "ѕƽ", "t": "тτŧƫ", "u": "սυμʋ", "v": "νѵ", "w": "ԝωѡшա",
	"x": "хχ", "y": "уγүყ", "z": "ƶ", "3": "зʒӡȝ", "ss": "ß",
	"ae": "æӕ", "oe": "œ",
	// Japanese mixes three scripts in one name; these pairs differ in none of
	// the usual fonts.
	"一": "ー", "二": "ニ", "三": "ミ", "口": "ロ", "力": "カ", "工": "エ", "八": "ハ", "夕": "タ", "卜": "ト", "千": "チ",
	"へ": "ヘ", "り": "リ", "べ": "ベ", "ぺ": "ペ",
}
