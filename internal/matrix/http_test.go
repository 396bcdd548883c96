package matrix

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"natter/chat"
	"natter/client"
	"natter/internal/harness"
	"natter/wire"
)

// undocumented are the calls that the OpenAPI document leaves out.
var undocumented = []string{"GET /healthz", "GET /readyz", "GET /v1/openapi.json", "GET /v1/asyncapi.json"}

// bodies are what a call sends, where it must send something. Of what is open to
// anyone, or done to oneself, they are what is refused: the door is asked about here,
// not the room behind it.
var bodies = map[string]func(to target) any{
	"POST /v1/accounts":                           func(target) any { return wire.SignUp{Username: "x", Password: harness.Password} },
	"POST /v1/sessions":                           func(target) any { return wire.SignIn{Username: "nobody_at_all", Password: harness.Password} },
	"POST /v1/sessions/refresh":                   func(target) any { return wire.Refresh{RefreshToken: "nr_forged"} },
	"PATCH /v1/me":                                func(target) any { return map[string]any{"locale": "ko"} },
	"PUT /v1/me/password":                         func(target) any { return wire.ChangePassword{OldPassword: "not this one", NewPassword: "short"} },
	"POST /v1/rooms":                              func(to target) any { return wire.CreateRoom{Kind: "direct", UserID: string(to.user)} },
	"PATCH /v1/rooms/{room_id}":                   func(target) any { return map[string]any{"name": "ours now"} },
	"PUT /v1/rooms/{room_id}/members/{user_id}":   func(target) any { return wire.ChangeMember{Role: "member"} },
	"PATCH /v1/rooms/{room_id}/members/{user_id}": func(target) any { return wire.ChangeMember{Role: "admin"} },
	"POST /v1/rooms/{room_id}/messages":           func(target) any { return wire.PostMessage{ClientID: client.NewKey().String(), Text: "let me in"} },
	"PATCH /v1/rooms/{room_id}/messages/{seq}":    func(target) any { return wire.PatchMessage{Text: "another text"} },
	"PUT /v1/rooms/{room_id}/draft":               func(target) any { return wire.PutDraft{Text: "let me"} },
	"PUT /v1/rooms/{room_id}/read":                func(to target) any { return wire.PutRead{Seq: uint64(to.seq)} },
}

// queries are of calls that need one.
var queries = map[string]string{"GET /v1/sync": "?limit=0", "GET /v1/users": "?query=a", "GET /v1/presence": "?user_id={user_id}"}

// codes are the codes of the statuses: a cell has the status only.
var codes = map[int]chat.Kind{
	400: chat.KindInvalid, 401: chat.KindUnauthenticated, 403: chat.KindForbidden, 404: chat.KindNotFound,
	409: chat.KindConflict, 410: chat.KindGone, 413: chat.KindTooLarge, 426: wire.CodeUpgrade,
}

// TestHTTP asks everything of everybody.
func TestHTTP(t *testing.T) {
	w := newWorld(t)
	const file = "testdata/http.txt"
	rows := readTable(t, file)
	w.documented(rows, "/v1/openapi.json")
	// Who may nothing asks first, of what isn't there and then of what is.
	type answer struct {
		status int
		text   string
	}
	outside := map[string]*[7]answer{}
	key := func(r row) string { return r.call + " " + r.of }
	w.unchanged(func() {
		for _, r := range rows {
			answers := new([7]answer)
			outside[key(r)] = answers
			everybody(outsiders, func(role int) {
				answers[role].status, answers[role].text = w.ask(r.call, w.target(r.of, role, false), role)
			})
		}
	})
	for _, r := range rows {
		nothing := outside[r.call+" unknown"]
		for role := outsiders; role < len(roles) && nothing != nil; role++ {
			if got, want := outside[key(r)][role], nothing[role]; got != want && !w.visible(r, role) {
				t.Errorf("%s, of %s, to %s:\n%d %s\nof what isn't there:\n%d %s", r.call, r.of, roles[role], got.status, got.text, want.status, want.text)
			}
		}
	}
	judge(t, file, rows, func(r row, role int) string {
		if role >= outsiders {
			return strconv.Itoa(outside[key(r)][role].status)
		}
		status, _ := w.ask(r.call, w.target(r.of, role, !strings.HasPrefix(r.call, "GET ")), role)
		return strconv.Itoa(status)
	})
}

// open are calls that tell everybody who is signed in of what is there: people can be
// found, and written to.
var open = map[string]bool{"GET /v1/users/{user_id}": true, "POST /v1/rooms": true}

func (w *world) visible(r row, role int) bool { return open[r.call] && role < 5 }

// documented fails the test for a call without a row, and for a row without a call.
func (w *world) documented(rows []row, path string) {
	w.t.Helper()
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
		} `json:"paths"`
	}
	if err := w.gus.Call(harness.Context(w.t), "GET", path, nil, &doc); err != nil {
		w.t.Fatal(err)
	}
	missing := map[string]bool{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			if op.OperationID != "" {
				missing[strings.ToUpper(method)+" "+path] = true
			}
		}
	}
	if len(missing) < 30 {
		w.t.Fatalf("the document has %d calls", len(missing))
	}
	for _, call := range undocumented {
		missing[call] = true
	}
	known := map[string]bool{}
	for _, r := range rows {
		if !missing[r.call] && !known[r.call] {
			w.t.Errorf("%s has a row, and is no call", r.call)
		}
		known[r.call] = true
		delete(missing, r.call)
	}
	for call := range missing {
		w.t.Errorf("%s has no row: who may do that?", call)
	}
}

var requestID = regexp.MustCompile(`,?"request_id":"[^"]*"`)

// ask makes a call as a role, and returns its status and all else that a refusal
// tells, without what is different from call to call.
func (w *world) ask(call string, to target, role int) (int, string) {
	w.t.Helper()
	method, path, _ := strings.Cut(call, " ")
	path = strings.NewReplacer("{room_id}", string(to.room), "{user_id}", string(to.user), "{device_id}", to.device,
		"{seq}", strconv.FormatUint(uint64(to.seq), 10), "{emoji}", "%F0%9F%91%8D").Replace(path + queries[call])
	var body io.Reader
	if make := bodies[call]; make != nil {
		body = bytes.NewReader(wire.Marshal(make(to)))
	}
	req, err := http.NewRequestWithContext(harness.Context(w.t), method, w.node.URL()+path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token := w.cast[role].Session().AccessToken; token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := w.http.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode < 300 {
		return res.StatusCode, "" // a stream would not end
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	var p wire.Problem
	if err := wire.Parse(text, &p); err != nil || p.Status != res.StatusCode || p.Code != codes[res.StatusCode] {
		w.t.Errorf("%s, %s: %d with %s", roles[role], call, res.StatusCode, text)
	}
	res.Header.Del("Date")
	res.Header.Del("X-Request-Id")
	var headers bytes.Buffer
	if err := res.Header.Write(&headers); err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, headers.String() + string(requestID.ReplaceAll(text, nil))
}
