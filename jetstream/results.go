package jetstream

import (
	"github.com/nats-io/nats.go"

	"natter/chat"
)

// handleResults takes the answers of projectors on other nodes.
func (s *Store) handleResults(msg *nats.Msg) {
	var m resultMessage
	if err := decode(msg.Data, &m); err != nil {
		s.log.Error("results were not understood", "error", err)
		return
	}
	s.deliver(m.Results)
}

func (s *Store) deliver(results []result) {
	for i := range results {
		r := &results[i]
		if f := r.Refusal; f != nil {
			s.answers.resolve(r.ID, chat.Result{}, &chat.Problem{Kind: f.Kind, Detail: f.Detail, Field: f.Field, Limit: f.Limit})
			continue
		}
		s.answers.resolve(r.ID, chat.Result{ID: r.First, Seq: r.Seq, At: r.At, Retry: r.Retry}, nil)
		failpoint("commit.answered")
	}
}
