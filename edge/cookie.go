package edge

import (
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"natter/auth"
	"natter/chat"
)

// A session's cookie ends a while after its last use: the store moves its end
// on, and a browser must hear of that or it forgets the cookie at the end it was
// told first. It hears it with the next HTTP answer, whichever that is.

// slides are the ends browsers were told, by device.
type slides struct {
	mu   sync.Mutex
	told map[chat.DeviceID]time.Time
}

// maxSlides bounds them, about 1 MB; at the bound an arbitrary one goes, which
// costs its browser a header that says nothing new.
const maxSlides = 1 << 14

// news tells whether a browser doesn't know yet that its cookie lives until
// then, and that it will.
func (s *slides) news(d chat.DeviceID, until time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !until.After(s.told[d]) {
		return false
	}
	if s.told == nil {
		s.told = map[chat.DeviceID]time.Time{}
	}
	for one := range s.told {
		if len(s.told) < maxSlides {
			break
		}
		delete(s.told, one)
	}
	s.told[d] = until
	return true
}

// slide tells the browser its cookie's new end; not with what may take the
// cookie away.
func (e *Edge) slide(c *fasthttp.RequestCtx, who auth.Identity) {
	if !c.IsDelete() && e.slides.news(who.Device, who.Expires) {
		c.Response.Header.Set("Set-Cookie", e.cookie(string(c.Request.Header.Cookie(cookieName)), who.Expires))
	}
}

// cookie is the natter_session cookie as a header; an empty value takes it away.
func (e *Edge) cookie(value string, until time.Time) string {
	var c fasthttp.Cookie
	c.SetKey(cookieName)
	c.SetValue(value)
	c.SetPath("/")
	c.SetHTTPOnly(true)
	c.SetSameSite(fasthttp.CookieSameSiteStrictMode)
	c.SetSecure(e.Secure)
	c.SetExpire(until)
	if value == "" {
		c.SetExpire(fasthttp.CookieExpireDelete)
	}
	return c.String()
}
