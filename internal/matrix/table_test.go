package matrix

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write the tables as the node answers")

// roles are the columns.
var roles = []string{"owner", "admin", "member", "ex-member", "stranger", "anonymous", "revoked"}

// outsiders is the first column of those who are in no room.
const outsiders = 3

// row is one line: a call, what it is asked of, and the answer to each role.
type row struct {
	call, of string
	want     []string
}

// readTable reads a table: a row has the call's words, then what it is asked of,
// then a word a role. What begins with # is for the reader.
func readTable(t *testing.T, file string) []row {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rows []row
	for n, line := range strings.Split(string(text), "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		split := len(words) - len(roles)
		if *update {
			split = slices.Index(words, "|") + 2
		}
		if split < 2 || words[split-2] != "|" {
			t.Fatalf("%s:%d: %q is no row", file, n+1, line)
		}
		rows = append(rows, row{strings.Join(words[:split-2], " "), words[split-1], words[split:]})
	}
	return rows
}

// writeTable writes what was answered into the table, keeping its comments.
func writeTable(t *testing.T, file string, answers map[string][]string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	widest := 0
	for _, a := range answers {
		for _, word := range a {
			widest = max(widest, len(word))
		}
	}
	for i, line := range lines {
		call, rest, ok := strings.Cut(line, "|")
		if strings.HasPrefix(line, "#") || !ok {
			continue
		}
		of := strings.Fields(rest)[0]
		var b strings.Builder
		fmt.Fprintf(&b, "%-68s | %-9s", strings.TrimSpace(call), of)
		for _, word := range answers[strings.Join(strings.Fields(call), " ")+" "+of] {
			fmt.Fprintf(&b, " %-*s", widest, word)
		}
		lines[i] = strings.TrimRight(b.String(), " ")
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// everybody calls do for each role of from on, all at once.
func everybody(from int, do func(role int)) {
	var all sync.WaitGroup
	for role := from; role < len(roles); role++ {
		all.Go(func() { do(role) })
	}
	all.Wait()
}

// judge runs every row and holds the answers against the table. answer is called for
// all roles of a row at once.
func judge(t *testing.T, file string, rows []row, answer func(r row, role int) string) {
	t.Helper()
	answers := map[string][]string{}
	for _, r := range rows {
		got := make([]string, len(roles))
		everybody(0, func(role int) { got[role] = answer(r, role) })
		if t.Failed() && slices.Contains(got, "") {
			t.FailNow() // somebody could not even ask
		}
		answers[r.call+" "+r.of] = got
		if !*update && !slices.Equal(got, r.want) {
			t.Errorf("%s, of %s:\n%8s %v\nanswered %v\nexpected %v", r.call, r.of, "", roles, got, r.want)
		}
	}
	if *update {
		writeTable(t, file, answers)
	}
}
