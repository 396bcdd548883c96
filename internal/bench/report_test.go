package bench

import (
	"strings"
	"testing"
)

func some(p50, most float64) Latency {
	return Latency{Count: 5, P50: p50, P90: p50, P99: most, P999: most, Max: most}
}

// TestReport: every workload has its part of the page; the page needs nothing
// from elsewhere, follows light and dark, and shows text as text.
func TestReport(t *testing.T) {
	results := []*Result{
		{Workload: Pairs, Title: "<script>alert(1)</script>", ToAck: some(1, 10), ToDelivery: some(2, 20), Raw: &Raw{}, OfRawAsync: 0.5, Timeline: []Sample{{Seconds: 1, Acked: 5}, {Seconds: 2, Acked: 7, RSSBytes: 1 << 20}}},
		{Workload: Pairs, Nodes: 3, Raw: &Raw{Replicated: RawRate{PerSecond: 100}}, OfRawDurable: 0.5, Cluster: &ClusterResult{ReadySeconds: 2, Nodes: []NodeUse{{Name: "a", Cores: 0.5, IdleCores: 0.02}, {Name: "b"}}}},
		{Workload: Idle, Idle: []IdleStep{{Connections: 10, BytesPerConnection: 4096, RSSBytes: 1 << 20}}},
		{Workload: CatchUp, CatchUp: &CatchUpResult{Missed: 5, Steps: []CatchUpStep{{Others: 1, First: some(3, 4), Warm: some(1, 2)}}, AckAlone: some(1, 1), AckCrowd: some(1, 3)}},
		{Workload: Storm, Storm: []StormRound{{Connections: 5, Synced: some(100, 200), AllSyncedSeconds: 0.2}}},
		{Workload: History, History: &HistoryResult{ColdLast: some(1, 2), ReadySeconds: 1}},
		{Workload: Mixed, FirstError: "oops", Errors: 1, Mixed: &MixedResult{With: &MixedPhase{}, Pages: some(1, 2)}},
	}
	var page strings.Builder
	if err := WriteHTML(&page, results...); err != nil {
		t.Fatal(err)
	}
	html := page.String()
	for _, want := range []string{"prefers-color-scheme: dark", "&lt;script&gt;", "all synced after", "From hello to synced, 5 missed", "something went wrong", "oops", "<h2>idle</h2>",
		"cluster at rest", "Start to ready, each node", "Core in use under load, each node", "raw JetStream, replicated"} {
		if !strings.Contains(html, want) {
			t.Errorf("no %q on the page", want)
		}
	}
	for _, never := range []string{"http://", "https://", "url(", "@import", "<script", "src=", "NaN", "Inf"} {
		if strings.Contains(html, never) {
			t.Errorf("%q on the page", never)
		}
	}
	if n := strings.Count(html, "<svg"); n != strings.Count(html, "</svg>") || n < 18 {
		t.Errorf("%d plots", n)
	}
}

// TestGrowth: what is compared is the late part with the early one; samples in
// which something isn't known don't count.
func TestGrowth(t *testing.T) {
	var samples []Sample
	for i := range 50 {
		s := Sample{RSSBytes: 100, Goroutines: 10}
		if i >= 40 {
			s.RSSBytes = 110
		}
		if i%3 == 0 {
			s.Goroutines = 0
		}
		samples = append(samples, s)
	}
	if g := growthOf(samples); g.RSS < 0.099 || g.RSS > 0.101 || g.Goroutines != 0 || g.Files != 0 {
		t.Errorf("%+v", g)
	}
	if g := growthOf(samples[:3]); g != (Growth{}) {
		t.Errorf("of three samples: %+v", g)
	}
}
