package jetstream

import (
	"testing"

	"natter/chat"
	"natter/internal/conformance"
)

func TestRecords(t *testing.T) {
	conformance.RecordsSuite(t, func(t *testing.T) chat.Records { return open(t).store.Records("test") })
}

func TestSeams(t *testing.T) {
	conformance.SeamsSuite(t, func(t *testing.T) conformance.Seams {
		s := open(t).store
		return conformance.Seams{Log: s.Log(), History: s.History(), Queues: s.Queues(), News: s.News(), Drafts: s.Drafts()}
	})
}
