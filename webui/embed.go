// Package webui carries the built web app inside the binary.
//
// A bare clone has no build, and `go run .` must compile all the same: dist then
// holds only its .gitkeep, and a page that says how to get the app stands in.
package webui

import (
	"embed"
	"io/fs"
)

//go:embed all:dist fallback
var files embed.FS

// Files returns the app and true, or, when the app has not been built, the page
// that says how to build it and false. The root of either has an index.html.
func Files() (fs.FS, bool) {
	if _, err := fs.Stat(files, "dist/index.html"); err == nil {
		return sub("dist"), true
	}
	return sub("fallback"), false
}

// sub panics only if dir is not a valid path, which the compiler has checked.
func sub(dir string) fs.FS {
	root, err := fs.Sub(files, dir)
	if err != nil {
		panic("webui: " + dir + " is not embedded: " + err.Error())
	}
	return root
}
