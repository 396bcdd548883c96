package harness

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Main is TestMain for packages whose tests start nodes: it runs the tests, removes what
// Binary built, and fails if goroutines are left beside those that ignore names.
func Main(m *testing.M, ignore ...goleak.Option) {
	code := m.Run()
	Cleanup()
	if code == 0 {
		if err := goleak.Find(ignore...); err != nil {
			println(err.Error())
			code = 1
		}
	}
	os.Exit(code)
}

// FasthttpKeeps are what fasthttp keeps for the life of the process, for the tests that
// serve with it themselves: its date, and a look each 10 s whether its server was shut
// down.
var FasthttpKeeps = []goleak.Option{
	goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
	goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
}
