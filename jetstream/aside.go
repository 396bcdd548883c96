package jetstream

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// A replica that is damaged is filled by the others when its files aren't there at the
// server's start. The directory of the stream's Raft group stays: with it the node
// keeps its vote, its term and the log, so that it can't elect what it shouldn't, and
// it isn't elected itself before the snapshot it remembers is filled.

var streamName = regexp.MustCompile(`^[A-Z]+(-[0-9]{1,4})?$`)

// ValidStream tells whether a name can be that of one of natter's streams.
func ValidStream(name string) bool { return streamName.MatchString(name) }

// SetAside moves a stream's files out of the store of a server that doesn't run, to a
// directory of the stream's name in aside; what was there before goes. account is the
// server's. A stream that isn't there is no error.
func SetAside(store, account, stream, aside string) error {
	if !ValidStream(stream) {
		return fmt.Errorf("%q is no stream", stream)
	}
	from, to := filepath.Join(streamsOf(store, account), stream), filepath.Join(aside, stream)
	if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := errors.Join(os.MkdirAll(aside, 0o700), os.RemoveAll(to)); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// streamsOf is where a server keeps the streams of an account.
func streamsOf(store, account string) string {
	return filepath.Join(store, "jetstream", account, "streams")
}
