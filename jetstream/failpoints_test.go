package jetstream

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestFailpoints: each point of the source stands in the list, each of the list in
// the source, once, and every name is a part and a step.
func TestFailpoints(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	at := map[string][]string{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if f, ok := call.Fun.(*ast.Ident); !ok || f.Name != "failpoint" {
				return true
			}
			where := set.Position(call.Pos()).String()
			name, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				t.Errorf("%s: the point's name must stand there, else nobody can find it", where)
				return true
			}
			text, err := strconv.Unquote(name.Value)
			if err != nil {
				t.Fatal(err)
			}
			at[text] = append(at[text], where)
			return true
		})
	}
	form := regexp.MustCompile(`^[a-z]+\.[a-z]+$`)
	listed := map[string]bool{}
	for _, name := range Failpoints {
		switch {
		case !form.MatchString(name):
			t.Errorf("%q is no part.step", name)
		case listed[name]:
			t.Errorf("%s is listed twice", name)
		case len(at[name]) != 1:
			t.Errorf("%s is listed, and in the source %d times: %s", name, len(at[name]), at[name])
		}
		listed[name] = true
	}
	for name, where := range at {
		if !listed[name] {
			t.Errorf("%s: %q is not listed in Failpoints", where[0], name)
		}
	}
}
