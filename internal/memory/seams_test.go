package memory_test

import (
	"testing"

	"natter/internal/conformance"
	"natter/internal/memory"
)

func TestSeams(t *testing.T) {
	conformance.SeamsSuite(t, func(t *testing.T) conformance.Seams {
		h, q := memory.NewHistory(), memory.NewQueues()
		log := memory.NewLog(h, q)
		t.Cleanup(log.Close)
		return conformance.Seams{Log: log, History: h, Queues: q, News: memory.NewNews(), Drafts: h}
	})
}
