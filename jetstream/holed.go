package jetstream

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
)

// holed are the streams in which a hole was mended; Open makes it, nobody changes it
// afterwards.
//
// nats-server (2.15.2) notes of each subject the newest file that held a message of it,
// and leaves that as it is when the message is deleted. When the whole file is gone by
// then, a multi_last that asks only for subjects of before the stream's newest file
// begins its walk at the one that is gone, and finds of them what stands where it was
// noted, no more:
//
//	page 8: 2.blk, 3.blk | a hole, 3.blk is deleted | others go on in 4.blk
//	multi_last page 7, page 8:  page 7
//
// A last_by_subj for one subject isn't led astray.
type holed map[string]bool

// missed adds to an answer of a stream of holes what a multi_last didn't find of what is
// there.
func (r *reader) missed(ctx context.Context, stream string, a ask, out answer) (answer, error) {
	if !r.holed[stream] || len(out.Messages) >= len(a.MultiLast) || strings.ContainsAny(strings.Join(a.MultiLast, ""), "*>") {
		return out, nil
	}
	if a.UpTo > 0 {
		return r.wider(ctx, stream, a, out)
	}
	found := make(map[string]bool, len(a.MultiLast))
	for _, m := range out.Messages {
		found[m.Subject] = true
	}
	for _, subject := range a.MultiLast {
		if found[subject] {
			continue
		}
		m, err := r.one(ctx, stream, ask{LastFor: subject})
		if errors.Is(err, errNone) {
			continue
		}
		if err != nil {
			return answer{}, err
		}
		found[subject] = true
		out.Messages = append(out.Messages, m)
	}
	slices.SortFunc(out.Messages, func(a, b stored) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return out, nil
}

// wider asks once more, with the subject of the stream's newest message: with it the
// walk begins at the newest file that counts.
func (r *reader) wider(ctx context.Context, stream string, a ask, out answer) (answer, error) {
	last, err := r.one(ctx, stream, ask{LastFor: ">"})
	if errors.Is(err, errNone) || err == nil && slices.Contains(a.MultiLast, last.Subject) {
		return out, nil
	}
	if err != nil {
		return answer{}, err
	}
	a.MultiLast = append(slices.Clone(a.MultiLast), last.Subject)
	if out, err = r.batch(ctx, stream, a); err != nil {
		return answer{}, err
	}
	out.Messages = slices.DeleteFunc(out.Messages, func(m stored) bool { return m.Subject == last.Subject })
	return out, nil
}
