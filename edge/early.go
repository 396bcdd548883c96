package edge

import (
	"net/http"
	"strings"
	"time"

	"natter/chat"
	"natter/wire"
)

// earlyPage is for people; it asks again by itself.
const earlyPage = `<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<meta name="viewport" content="width=device-width"><title>natter</title>
<body style="font:1.1em system-ui;margin:4em auto;max-width:26em;padding:0 1em"><p>The chat is starting. This page tries again by itself.</p>
<p lang="ko">채팅 서버가 시작되고 있습니다. 이 페이지는 저절로 다시 시도합니다.</p>
`

// Early answers while a node starts, when there is no Edge yet: /healthz says that
// the process lives, and everything else is refused as unavailable.
func Early() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Connection", "close") // what answers next is another server
		if r.URL.Path == "/healthz" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"status":"ok"}`))
			return
		}
		why := chat.Unavailable("the node is starting", againSoon)
		p := &problem{*wire.NewProblem(why, time.Now(), "")}
		for name, values := range p.GetHeaders() {
			w.Header()[name] = values
		}
		if strings.Contains(r.Header.Get("Accept"), "text/html") && r.Method == http.MethodGet {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
			w.WriteHeader(p.Status)
			_, _ = w.Write([]byte(earlyPage))
			return
		}
		w.Header().Set("Content-Type", problemType)
		w.WriteHeader(p.Status)
		_, _ = w.Write(wire.Marshal(&p.Problem))
	})
}
