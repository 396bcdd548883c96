package process

import (
	"os"
	"path/filepath"
	"strings"
)

// raceOptions has the race detector of a process write its reports to files of their own,
// path.PID: in what the process says, other lines would stand in the middle of them. What
// it ends with then is its own.
func raceOptions(path string) string { return "GORACE=exitcode=0 log_path=" + path }

// Races are the data races that processes with Options.Races of this path were found to
// have, a report each. Those between two accesses that neither are in natter's code nor
// were called from there don't count: nats-server 2.15.2 has one of its own (a batch that
// is committed while another message of its stream is applied).
func Races(path string) (reports []string, err error) {
	files, err := filepath.Glob(path + ".*")
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		for report := range strings.SplitSeq(string(text), "==================\n") {
			if strings.Contains(report, "DATA RACE") && ours(report) {
				reports = append(reports, report)
			}
		}
	}
	return reports, nil
}

// ours tells whether a function of natter stands in one of a report's two accesses. Who
// created the goroutines, which comes after, says nothing: all are natter's in the end.
func ours(report string) bool {
	accesses, _, _ := strings.Cut(report, "\nGoroutine ")
	for line := range strings.Lines(accesses) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "natter/") || strings.HasPrefix(line, "main.") {
			return true
		}
	}
	return false
}
