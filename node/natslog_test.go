package node

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// What every start and crash brings is no warning of ours; what is like it and means
// something is.
func TestOrdinaryWarnings(t *testing.T) {
	var out bytes.Buffer
	l := &natsLog{log: slog.New(slog.NewTextHandler(&out, nil))}
	for _, text := range []string{
		`Filestore [LOG-0] Recovering stream state from index errored: prior state file`,
		`Filestore [LEASES] TTL state is outdated; attempting to recover using linear scan (seq 1 to 5)`,
		`Waiting for routing to be established...`,
		`JetStream is not current with the meta leader`,
		`Clients that are not using "TLS Handshake First" option will fail to connect`,
	} {
		if l.Warnf("%s", text); out.Len() > 0 {
			t.Errorf("%q is told as %q", text, out.String())
			out.Reset()
		}
	}
	for _, text := range []string{`Filestore [LOG-0] checksum mismatch`, `Health check OK, no longer falling behind`} {
		if l.Warnf("%s", text); !strings.Contains(out.String(), "level=WARN") {
			t.Errorf("%q isn't told", text)
		}
		out.Reset()
	}
}
