package jetstream

import (
	"testing"

	"natter/chat"
	"natter/internal/conformance"
)

func TestRecords(t *testing.T) {
	conformance.RecordsSuite(t, func(t *testing.T) chat.Records { return open(t).store.Records("test") })
}
