package contacts

import (
	"fmt"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"natter/chat"
)

const pairPrefix = "pair"

func pairKey(p *chat.Pair) string {
	return pairPrefix + "." + string(p.Low) + "." + string(p.High)
}

// recordVersion is the version of the record. A reader takes its own and older
// ones; the first is frozen in testdata/ and read for ever.
const recordVersion = 1

// record is a pair as it is stored.
type record struct {
	Version uint8     `cbor:"0,keyasint"`
	Pair    chat.Pair `cbor:"1,keyasint"`
}

var (
	encoding = must(cbor.CoreDetEncOptions().EncMode())
	decoding = must(cbor.DecOptions{DupMapKey: cbor.DupMapKeyEnforcedAPF}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic("contacts: cbor options: " + err.Error())
	}
	return v
}

// encode can't fail: a record holds plain data only.
func encode(p chat.Pair) []byte { return must(encoding.Marshal(record{recordVersion, p})) }

// decode reads the record of key, whose ids it must have.
func decode(key string, b []byte) (chat.Pair, error) {
	var r record
	if err := decoding.Unmarshal(b, &r); err != nil {
		return chat.Pair{}, fmt.Errorf("contacts: record %s: %w", key, err)
	}
	switch {
	case r.Version == 0 || r.Version > recordVersion:
		return chat.Pair{}, fmt.Errorf("contacts: record %s is of version %d, this natter reads up to %d", key, r.Version, recordVersion)
	case r.Pair.Low >= r.Pair.High || pairKey(&r.Pair) != key:
		return chat.Pair{}, fmt.Errorf("contacts: record %s is of another pair", key)
	}
	return r.Pair, nil
}

// pairOf is the pair a key names, false if it names none.
func pairOf(key string) (chat.Pair, bool) {
	low, high, ok := strings.Cut(strings.TrimPrefix(key, pairPrefix+"."), ".")
	if !ok || low == high {
		return chat.Pair{}, false
	}
	p := chat.NewPair(chat.UserID(low), chat.UserID(high))
	return p, pairKey(&p) == key
}
