package edge

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"io/fs"
	"mime"
	"path"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// assets are the web app's files, in memory and compressed once at start.
type assets struct {
	files map[string]*asset // by path, without the leading slash
	index *asset
}

type asset struct {
	kind    string
	tag     string // a strong entity tag of the plain bytes
	plain   []byte
	packed  []byte // gzip; nil if it isn't smaller
	forever bool   // its name holds its hash
}

// kinds are content types that don't depend on the machine's own table.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
	".css": "text/css; charset=utf-8", ".json": "application/json", ".map": "application/json", ".svg": "image/svg+xml",
	".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp", ".ico": "image/x-icon", ".woff2": "font/woff2",
	".webmanifest": "application/manifest+json", ".txt": "text/plain; charset=utf-8", ".wasm": "application/wasm",
}

// loadAssets reads all of app. Only a built app has names with hashes.
func loadAssets(app fs.FS, built bool) (*assets, error) {
	a := &assets{files: map[string]*asset{}}
	if app == nil {
		return a, nil
	}
	err := fs.WalkDir(app, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path.Base(name), ".") {
			return err
		}
		plain, err := fs.ReadFile(app, name)
		if err != nil {
			return err
		}
		a.files[name] = newAsset(name, plain, built && strings.HasPrefix(name, "assets/"))
		return nil
	})
	a.index = a.files["index.html"]
	return a, err
}

func newAsset(name string, plain []byte, forever bool) *asset {
	sum := sha256.Sum256(plain)
	f := &asset{kind: kinds[path.Ext(name)], tag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`, plain: plain, forever: forever}
	if f.kind == "" {
		if f.kind = mime.TypeByExtension(path.Ext(name)); f.kind == "" {
			f.kind = "application/octet-stream"
		}
	}
	var packed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // the level is a valid one
	_, _ = w.Write(plain)                                      // a buffer takes all
	_ = w.Close()
	if packed.Len() < len(plain)*9/10 {
		f.packed = packed.Bytes()
	}
	return f
}

// static answers everything outside the API: files, and the app's page for the
// addresses the app itself makes up.
func (e *Edge) static(c *fiber.Ctx) error {
	name := c.Path()
	if name == "/healthz" || name == "/readyz" || name == "/v1" || strings.HasPrefix(name, "/v1/") {
		return c.Next()
	}
	rawRequest(c.Context()).route = "app"
	if c.Method() != fiber.MethodGet && c.Method() != fiber.MethodHead {
		return fiber.ErrMethodNotAllowed
	}
	f := e.assets.files[strings.TrimPrefix(name, "/")]
	if f == nil && strings.Contains(c.Get(fiber.HeaderAccept), "text/html") {
		f = e.assets.index
	}
	if name == "/" {
		f = e.assets.index
	}
	if f == nil {
		return fiber.ErrNotFound
	}
	f.write(c.Context())
	return nil
}

func (f *asset) write(c *fasthttp.RequestCtx) {
	h := &c.Response.Header
	h.Set("ETag", f.tag)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	if f.forever {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	for tag := range strings.SplitSeq(string(c.Request.Header.Peek("If-None-Match")), ",") {
		if strings.TrimPrefix(strings.TrimSpace(tag), "W/") == f.tag {
			c.SetStatusCode(fasthttp.StatusNotModified)
			return
		}
	}
	h.Set("Content-Type", f.kind)
	body := f.plain
	if f.packed != nil && c.Request.Header.HasAcceptEncoding("gzip") {
		h.Set("Content-Encoding", "gzip")
		body = f.packed
	}
	c.Response.SetBodyRaw(body) // fasthttp leaves it out for HEAD
}
