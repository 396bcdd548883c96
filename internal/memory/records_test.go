package memory

import (
	"testing"

	"natter/chat"
	"natter/internal/conformance"
)

func TestRecords(t *testing.T) {
	conformance.RecordsSuite(t, func(*testing.T) chat.Records { return NewRecords() })
}
