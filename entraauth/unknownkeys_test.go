package entraauth_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// interval is the default of Options.KeyRefetchInterval.
const interval = 15 * time.Second

// invented is a token that is good but for its kid and signature.
func (f *fixture) invented(kid string) string {
	_, rest, _ := strings.Cut(f.tenant.Mint(f.api, 0, nil), ".")
	return b64(fmt.Appendf(nil, `{"alg":"RS256","typ":"JWT","kid":%q}`, kid)) + "." + rest
}

// fetches counts the fetches of keys from now on.
func (f *fixture) fetches() func() int {
	before := f.tenant.Count(entratest.Keys)
	return func() int { return f.tenant.Count(entratest.Keys) - before }
}

// ready waits for the first keys.
func (f *fixture) ready(t *testing.T) {
	t.Helper()
	if err := f.verifier.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// wantUnknown wants the verdict of a kid that was looked for: 401.
func (f *fixture) wantUnknown(t *testing.T, token, when string) {
	t.Helper()
	if err := f.verify(t, token); !errors.Is(err, entraauth.ErrInvalidToken) || errorOf(t, err).Reason != "key_not_found" {
		t.Errorf("%s: got %v, want key_not_found", when, err)
	}
}

// wantUnjudged wants 503 with the time until the kid can be looked for.
func (f *fixture) wantUnjudged(t *testing.T, token, when string, after time.Duration) {
	t.Helper()
	err := f.verify(t, token)
	if !errors.Is(err, entraauth.ErrKeysUnavailable) {
		t.Errorf("%s: got %v, want ErrKeysUnavailable", when, err)
		return
	}
	if e := errorOf(t, err); e.Reason != "keys_unavailable" || e.RetryAfter != after || e.Status() != http.StatusServiceUnavailable {
		t.Errorf("%s: got %s, status %d, retry after %s; want keys_unavailable, 503, %s", when, e.Reason, e.Status(), e.RetryAfter, after)
	}
}

// A stranger spends the fetch, then the tenant's key changes: nobody may be told
// that a good token is none.
func TestStrangerThenRotationThenHonestUser(t *testing.T) {
	for name, option := range map[string]time.Duration{"default": 0, "5 minutes": 5 * time.Minute, "1 second": time.Second} {
		t.Run(name, func(t *testing.T) {
			wait := interval
			if option != 0 {
				wait = option
			}
			f := newFixture(t, func(o *entraauth.Options) { o.KeyRefetchInterval = option })
			f.ready(t)
			count := f.fetches()
			f.wantUnknown(t, f.invented("stranger"), "the stranger")
			f.tenant.RotateKeys()
			token := f.token()
			f.wantUnjudged(t, token, "right after the rotation", wait)
			f.clock.Add(wait - time.Second)
			f.wantUnjudged(t, token, "a second before the interval ends", time.Second)
			if n := count(); n != 1 {
				t.Errorf("%d fetches within the interval, want the stranger's", n)
			}
			f.clock.Add(time.Second)
			if err := f.verify(t, token); err != nil {
				t.Errorf("after the interval: %v", err)
			}
			if n := count(); n != 2 {
				t.Errorf("%d fetches, want 2", n)
			}
		})
	}
}

func TestRetryAfterOfAnUnknownKey(t *testing.T) {
	f := newFixture(t, nil)
	f.ready(t)
	f.wantUnknown(t, f.invented("stranger"), "the stranger")
	f.tenant.RotateKeys()
	f.clock.Add(2500 * time.Millisecond)
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	req.Header.Set("Authorization", "Bearer "+f.token())
	w := httptest.NewRecorder()
	f.verifier.Middleware(nil)(http.NotFoundHandler()).ServeHTTP(w, req)
	if got := w.Header().Get("Retry-After"); w.Code != http.StatusServiceUnavailable || got != "13" || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("got %d, Retry-After %q, challenge %q; want 503, 13 and no challenge", w.Code, got, w.Header().Get("WWW-Authenticate"))
	}
	if log := f.log.String(); !strings.Contains(log, "kid "+f.tenant.KeyID()) || !strings.Contains(log, "before this kid first came") {
		t.Errorf("the log does not say why: %s", log)
	}
}

// The stranger is there first, each time that a fetch is allowed. Its fetch brings
// the honest users' key too.
func TestStrangerRepeats(t *testing.T) {
	f := newFixture(t, uncached)
	f.ready(t)
	count := f.fetches()
	for i := range 8 {
		f.wantUnknown(t, f.invented(fmt.Sprint("stranger ", i)), "the stranger")
		f.tenant.RotateKeys()
		token := f.token()
		f.wantUnjudged(t, token, "an honest user", interval)
		f.clock.Add(interval)
		f.wantUnknown(t, f.invented(fmt.Sprint("again ", i)), "the stranger again")
		if err := f.verify(t, token); err != nil {
			t.Fatalf("after rotation %d: %v", i, err)
		}
		f.clock.Add(interval)
	}
	if n := count(); n != 16 {
		t.Errorf("%d fetches in 16 intervals", n)
	}
}

func TestManyHonestUsersAfterAStranger(t *testing.T) {
	f := newFixture(t, nil)
	f.ready(t)
	count := f.fetches()
	f.wantUnknown(t, f.invented("stranger"), "the stranger")
	f.tenant.RotateKeys()
	all := func(judge func(error) bool) {
		t.Helper()
		var wg sync.WaitGroup
		for range 64 {
			token := f.tenant.Mint(f.api, 0, nil)
			wg.Go(func() {
				if err := f.verify(t, token); !judge(err) {
					t.Errorf("got %v", err)
				}
			})
		}
		wg.Wait()
	}
	all(func(err error) bool { return errors.Is(err, entraauth.ErrKeysUnavailable) })
	f.clock.Add(interval) // they all come back at once
	all(func(err error) bool { return err == nil })
	if n := count(); n != 2 {
		t.Errorf("%d fetches for 128 requests, want the stranger's and one", n)
	}
}

// What a stranger does to one tenant is not felt in another.
func TestStrangersOfTwoTenants(t *testing.T) {
	f := newTenant(t)
	f.other = f.tenant.AddTenant(nil)
	there := f.other.AddApp("MCP server", "access_as_user")
	f.start(t, func(o *entraauth.Options) { o.OtherTenants = []string{f.other.ID()} })
	f.ready(t)
	mint := func() string {
		return f.other.Mint(there, 0, func(_, c map[string]any) { c["aud"] = f.api.ClientID })
	}
	if err := f.verify(t, mint()); err != nil {
		t.Fatal(err)
	}
	f.wantUnknown(t, f.invented("stranger"), "the stranger")
	f.tenant.RotateKeys()
	f.other.RotateKeys()
	if err := f.verify(t, mint()); err != nil {
		t.Errorf("the tenant without strangers: %v", err)
	}
	f.wantUnjudged(t, f.token(), "the tenant with one", interval)
	f.clock.Add(interval)
	if err := f.verify(t, f.token()); err != nil {
		t.Errorf("after the interval: %v", err)
	}
}

// A kid that was looked for stays 401, so that the client gets another token.
func TestKeyIDThatWasLookedFor(t *testing.T) {
	f := newFixture(t, nil)
	old := f.token()
	if err := f.verify(t, old); err != nil {
		t.Fatal(err)
	}
	count := f.fetches()
	early := f.invented("early")
	f.wantUnknown(t, early, "at first")
	f.wantUnknown(t, early, "again")
	late := f.invented("late")
	f.wantUnjudged(t, late, "before a fetch", interval)
	f.wantUnjudged(t, late, "again", interval)
	f.tenant.RotateKeys()
	f.clock.Add(interval)
	if err := f.verify(t, f.token()); err != nil { // fetches for all of them
		t.Fatal(err)
	}
	f.wantUnknown(t, late, "another's fetch did not bring it")
	f.wantUnknown(t, old, "a key that left")
	if n := count(); n != 2 {
		t.Errorf("%d fetches, want 2", n)
	}
	for i := range 2000 { // more kids than are remembered
		_ = f.verify(t, f.invented(fmt.Sprint("flood ", i)))
	}
	f.clock.Add(interval)
	f.wantUnknown(t, f.invented("flood"), "the flood's next fetch")
	f.wantUnknown(t, old, "a key that left, in a flood")
	f.wantUnjudged(t, f.invented("last"), "a new one, in a flood", interval)
}

// The hourly fetch shows what a stranger's no longer can.
func TestRefreshJudgesUnknownKeys(t *testing.T) {
	f := newFixture(t, func(o *entraauth.Options) { o.KeyRefetchInterval = 3 * time.Hour })
	f.ready(t)
	f.wantUnknown(t, f.invented("stranger"), "the stranger")
	f.tenant.RotateKeys()
	token := f.tenant.Mint(f.api, 0, func(_, c map[string]any) { c["exp"] = f.clock.Now().Add(4 * time.Hour).Unix() })
	f.wantUnjudged(t, token, "before the refresh", 3*time.Hour)
	f.clock.Add(70 * time.Minute)
	if err := f.verify(t, token); err != nil {
		t.Errorf("with the refresh: %v", err)
	}
}

func TestUnknownKeyOfAClosedVerifier(t *testing.T) {
	f := newFixture(t, nil)
	f.ready(t)
	if err := f.verifier.Close(); err != nil {
		t.Fatal(err)
	}
	count := f.fetches()
	f.tenant.RotateKeys()
	f.wantUnjudged(t, f.token(), "no fetch will show it", time.Second)
	if n := count(); n != 0 {
		t.Errorf("%d fetches after Close", n)
	}
}

// 100,000 invented kids over 100 seconds: what they cost Entra, and us.
func TestInventedKeyIDs(t *testing.T) {
	f := newFixture(t, uncached)
	token := f.token()
	if err := f.verify(t, token); err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(token, ".")
	padding := strings.Repeat("k", 240)
	count, before := f.fetches(), heap()
	judged := 0
	for i := range 100_000 {
		f.clock.Add(time.Millisecond)
		header := b64(fmt.Appendf(nil, `{"alg":"RS256","typ":"JWT","kid":"%06d%s"}`, i, padding))
		switch err := f.verify(t, header+"."+rest); {
		case errors.Is(err, entraauth.ErrInvalidToken):
			judged++
		case !errors.Is(err, entraauth.ErrKeysUnavailable):
			t.Fatalf("kid %d: %v", i, err)
		}
	}
	grown := heap() - before
	t.Logf("%d fetches, %d judged, %d KiB kept", count(), judged, grown>>10)
	if n := count(); n != 7 || judged != n {
		t.Errorf("%d fetches for %d kids in 100 seconds, want 7 for 7", n, judged)
	}
	if grown > 2<<20 {
		t.Errorf("%d bytes kept", grown)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
