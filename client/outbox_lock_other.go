//go:build !unix

package client

// lockFile has no way to keep others out here: the caller must.
func lockFile(string) (unlock func(), err error) { return func() {}, nil }

// syncDir does nothing where directories can't be synced.
func syncDir(string) error { return nil }
