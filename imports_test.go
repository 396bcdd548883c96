package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// layers is policy (docs/ARCHITECTURE.md, "The house"): what each package may
// import beside the standard library. It is not edited to make a build pass.
// An entry that ends in / stands for everything below it.
var layers = map[string][]string{
	// 0: the ground floor
	"chat":   {},
	"webui":  {},
	"certs":  {},
	"config": {"github.com/spf13/viper", "github.com/spf13/pflag", "github.com/go-viper/mapstructure/", "go.yaml.in/yaml/"},
	// 1: one technology each
	"wire":      {"natter/chat", "github.com/go-json-experiment/json", "github.com/go-json-experiment/json/"},
	"auth":      {"natter/chat", "golang.org/x/crypto/", "golang.org/x/text/", "golang.org/x/time/", "golang.org/x/sync/", "github.com/fxamacker/cbor/"},
	"contacts":  {"natter/chat", "github.com/fxamacker/cbor/"},
	"jetstream": {"natter/chat", "github.com/nats-io/nats.go", "github.com/nats-io/nats.go/", "github.com/fxamacker/cbor/", "github.com/prometheus/client_golang/"},
	"blocks":    {"github.com/minio/highwayhash"},
	// 2: the two ends of the wire
	"edge": {"natter/chat", "natter/wire", "natter/auth", "natter/contacts", "github.com/gofiber/", "github.com/valyala/", "github.com/fasthttp/", "github.com/gobwas/ws",
		"github.com/danielgtaylor/huma/", "github.com/prometheus/client_golang/", "golang.org/x/time/", "github.com/go-json-experiment/json", "github.com/go-json-experiment/json/"},
	"client": {"natter/chat", "natter/wire", "github.com/fasthttp/websocket"},
	// 3: everything put together
	"node": {"natter/chat", "natter/auth", "natter/contacts", "natter/jetstream", "natter/edge", "natter/config", "natter/certs", "natter/webui", "natter/blocks",
		"github.com/nats-io/", "github.com/bwmarrin/snowflake", "github.com/prometheus/client_golang/"},
	// 4: the program
	".": {"natter/config", "natter/certs", "natter/node", "natter/client", "natter/internal/bench", "github.com/spf13/cobra", "github.com/spf13/pflag"},
}

// TestImports holds every package to its layer. Test files are held to it too,
// but may use the packages of internal/, the embedded server and test libraries.
func TestImports(t *testing.T) {
	for dir, allowed := range layers {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 {
			t.Errorf("%s: no Go files; the layer has no package", dir)
		}
		for _, file := range files {
			extra := []string{}
			if strings.HasSuffix(file, "_test.go") {
				extra = []string{"natter/", "github.com/nats-io/", "go.uber.org/goleak", "github.com/google/", "github.com/fasthttp/websocket"}
			}
			for _, path := range imports(t, file) {
				if standard(path) || permitted(path, allowed) || permitted(path, extra) {
					continue
				}
				t.Errorf("%s imports %s, which the layer of %q does not allow", file, path, dir)
			}
		}
	}
}

// TestEveryPackageHasALayer fails for a folder of Go files nobody gave a place.
func TestEveryPackageHasALayer(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != "." && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "internal" || name == "examples" || name == "data") {
			return filepath.SkipDir
		}
		if dir := filepath.Dir(path); !d.IsDir() && strings.HasSuffix(name, ".go") {
			if _, ok := layers[dir]; !ok {
				t.Errorf("%s: package %s has no layer", path, dir)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func imports(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, spec := range parsed.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && first != "natter"
}

func permitted(path string, allowed []string) bool {
	for _, a := range allowed {
		if path == a || strings.HasSuffix(a, "/") && strings.HasPrefix(path, a) {
			return true
		}
	}
	return false
}
