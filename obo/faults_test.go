package obo_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/internal/requestline"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// log is a log that a test can read.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// take returns how many lines of each level there are, and forgets them.
func (l *log) take(t *testing.T) (levels map[string]int, text string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	levels, text = map[string]int{}, l.text.String()
	l.text.Reset()
	for line := range strings.Lines(text) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		levels[m["level"].(string)]++
	}
	return levels, text
}

// asDefault makes the log that of everybody who has no other.
func (l *log) asDefault(t *testing.T) {
	t.Helper()
	old := slog.Default()
	slog.SetDefault(l.logger())
	t.Cleanup(func() { slog.SetDefault(old) })
}

// What only the operator can fix is an error, once for each cause, also where no
// logger was given; and again when it was good in between.
func TestOperatorsFaultsAreLoggedOnce(t *testing.T) {
	for name, given := range map[string]bool{"default": false, "given": true} {
		t.Run(name, func(t *testing.T) {
			var l log
			change := func(*obo.Options) {}
			if given {
				change = func(o *obo.Options) { o.Logger = l.logger() }
			} else {
				l.asDefault(t)
			}
			entra := newUsersEntra()
			x := entra.exchanger(t, change)
			wrong := refused(7000215, "invalid_client")
			fail := func(a answer, want int) {
				t.Helper()
				for user := range 5 {
					entra.set(10+user, a)
					for range 5 {
						_ = entra.ask(x, 10+user, 0)
						entra.clock.Advance(refusalLife)
					}
				}
				levels, text := l.take(t)
				if levels["ERROR"] != want {
					t.Errorf("%d errors, want %d:\n%s", levels["ERROR"], want, text)
				}
				if !given && levels["WARN"]+levels["DEBUG"]+levels["INFO"] != 0 {
					t.Errorf("lines that nobody asked for:\n%s", text)
				}
				if want > 0 && !strings.Contains(text, `"remedy":"the operator of the server must`) {
					t.Errorf("no remedy:\n%s", text)
				}
			}
			fail(wrong, 1)
			fail(wrong, 0)
			fail(refused(7000222, "invalid_client"), 1) // another cause
			fail(refused(987654, "invalid_client"), 1)
			fail(answer{status: 404, body: "<html>"}, 1)
			fail(refused(65001, "invalid_grant"), 0) // the user's
			if err := entra.ask(x, bob, 0); err != nil {
				t.Fatal(err)
			}
			_, _ = l.take(t)
			fail(wrong, 1)
		})
	}
}

// The same fault at another resource is another cause only if it is the resource's.
func TestCausesOfFaults(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]int{7000215: 1, 700016: 1, 650052: 2, 500011: 2} {
		var l log
		entra := newUsersEntra()
		entra.set(alice, refused(code, "invalid_client"))
		x := entra.exchanger(t, func(o *obo.Options) {
			o.Logger, o.Resources = l.logger(), []string{"https://a.example", "https://b.example"}
		})
		for _, scope := range []string{"https://a.example/.default", "https://b.example/.default"} {
			o := storageOptions
			o.Scopes = []string{scope}
			if _, err := x.Credential(entra.token(alice, 0)).GetToken(t.Context(), o); !errors.Is(err, obo.ErrMisconfigured) {
				t.Errorf("got %v, want ErrMisconfigured", err)
			}
		}
		if levels, text := l.take(t); levels["ERROR"] != want {
			t.Errorf("AADSTS%d: %d errors, want %d:\n%s", code, levels["ERROR"], want, text)
		}
	}
}

// A server that writes a line for each request says there what failed: obo doesn't
// say it again, but for what only the operator can fix.
func TestNoSecondLineForARequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.exchanger(nil)
	ctx := requestline.With(t.Context(), nil)
	for level, code := range map[string]int{"WARN": 65001, "ERROR": 7000215} {
		w.tenant.Fail(entratest.EndpointToken, entratest.Fault{AADSTS: code})
		_, _ = w.get(ctx, x.Credential(w.assertion(w.alice)))
		_, _ = w.get(ctx, x.Credential(w.assertion(w.alice)))
		want := 0
		if level == "ERROR" {
			want = 1
		}
		if n := strings.Count(w.text(), `"level":"`+level+`"`); n != want {
			t.Errorf("AADSTS%d: %d lines of level %s, want %d:\n%s", code, n, level, want, w.text())
		}
	}
}

// Without a logger of its own, an exchanger tells the operator in the log of the
// server whose request it was.
func TestServersLogHasTheOperatorsFault(t *testing.T) {
	var server, others log
	others.asDefault(t)
	entra := newUsersEntra()
	entra.set(alice, refused(7000215, "invalid_client"))
	entra.set(bob, refused(65001, "invalid_grant"))
	x := entra.exchanger(t, nil)
	for _, user := range []int{alice, bob} {
		_, _ = x.Credential(entra.token(user, 0)).GetToken(requestline.With(t.Context(), server.logger()), storageOptions)
	}
	if levels, text := server.take(t); levels["ERROR"] != 1 || levels["WARN"] != 0 {
		t.Errorf("the server's log: %s, want one error and no warning", text)
	}
	if _, text := others.take(t); text != "" {
		t.Errorf("the default log: %s, want \"\"", text)
	}
}

// The commonest mistake: the secret's id instead of its value.
func TestSecretWithTheFormOfAGUID(t *testing.T) {
	const id = "0f3a9c52-77de-4b1c-9d0e-5a6b7c8d9e0f"
	for value, want := range map[string]int{
		id: 1, strings.ToUpper(id): 1, "{" + id + "}": 1, strings.ReplaceAll(id, "-", ""): 1,
		`"` + id + `"`: 1, "'{" + id + "}'": 1, "urn:uuid:" + id: 1, "URN:UUID:" + strings.ToUpper(id): 1, `"uuid:` + id + `"`: 1, "\u201c" + id + "\u201d": 1,
		id + "0": 0, "x" + id: 0,
		"abc8Q~0f3a9c52-77de-4b1c-9d0e-5a6b7c8d9e0f": 0, "a-secret-of-the-usual-kind": 0,
	} {
		for name, m := range map[string]clientauth.Method{
			"alone": clientauth.Secret(value), "chain": clientauth.Chain(clientauth.Secret("good"), clientauth.Secret(value)),
		} {
			var l log
			l.asDefault(t)
			if _, err := obo.NewExchanger(homeTenant, someAppID, m, nil); err != nil {
				t.Fatal(err)
			}
			levels, text := l.take(t)
			if levels["WARN"] != want || want == 1 && !strings.Contains(text, "Certificates & secrets") && !strings.Contains(text, `Certificates \u0026 secrets`) {
				t.Errorf("%s, %d characters: %d warnings, want %d:\n%s", name, len(value), levels["WARN"], want, text)
			}
			if strings.Contains(strings.ToLower(text), id[:8]) {
				t.Error("the log repeats the value")
			}
		}
	}
}
