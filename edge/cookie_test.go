package edge

import (
	"strconv"
	"testing"
	"time"

	"natter/chat"
)

// TestTheCookieSlides: who uses it is told its new end, once; on the way out it
// is taken away and not renewed.
func TestTheCookieSlides(t *testing.T) {
	h := open(t)
	mina := h.person("mina")
	cookie := []string{"Cookie", cookieName + "=" + mina.cookie.Value, "X-Natter", "1"}
	if c := h.call("GET", "/v1/me", nil, cookie...).status(200).cookie(); c != nil {
		t.Errorf("nothing new is told: %+v", c)
	}
	h.ahead.Store(int64(20 * 24 * time.Hour))
	c := h.call("GET", "/v1/me", nil, cookie...).status(200).cookie()
	if c == nil || c.Value != mina.cookie.Value || !c.HttpOnly || c.Expires.Sub(mina.cookie.Expires) < 19*24*time.Hour {
		t.Fatalf("after 20 days: %+v", c)
	}
	if c := h.call("GET", "/v1/me", nil, cookie...).status(200).cookie(); c != nil {
		t.Errorf("told twice: %+v", c)
	}
	// A refusal tells it too, and a stream.
	h.ahead.Store(int64(40 * 24 * time.Hour))
	if h.call("GET", "/v1/rooms/g1", nil, cookie...).status(404).cookie() == nil {
		t.Error("a refusal doesn't tell the new end")
	}
	h.ahead.Store(int64(60 * 24 * time.Hour))
	a := h.call("DELETE", "/v1/sessions/current", nil, cookie...).status(204)
	if all := a.Cookies(); len(all) != 1 || all[0].Value != "" || all[0].Expires.After(time.Now()) {
		t.Errorf("the way out leaves %+v", all)
	}
}

// TestSlidesAreBounded: an arbitrary one goes.
func TestSlidesAreBounded(t *testing.T) {
	var s slides
	at := time.Now()
	for i := range maxSlides + 100 {
		s.news(chat.DeviceID(strconv.Itoa(i)), at)
	}
	if len(s.told) > maxSlides {
		t.Errorf("%d are remembered", len(s.told))
	}
	if s.news(chat.DeviceID(strconv.Itoa(maxSlides+99)), at) || !s.news(chat.DeviceID(strconv.Itoa(maxSlides+99)), at.Add(1)) {
		t.Error("the newest is forgotten, or its news isn't news")
	}
}
