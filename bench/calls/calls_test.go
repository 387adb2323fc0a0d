package calls_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/bench"
	"github.com/mcpentra/mcp-entra-go/bench/calls"
	"github.com/mcpentra/mcp-entra-go/bench/fixedsdk"
)

var (
	bed   *bench.Bed // the one of the process: see [bench.NewBed]
	temp  string
	fixed string // the program with the fixed SDK
)

func TestMain(m *testing.M) {
	calls.ServeIfAsked()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if temp, err = os.MkdirTemp("", "bench-calls-"); err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	if fixed, err = fixedsdk.Build(context.Background(), temp, "./calls/compare"); err != nil {
		return 1, err
	}
	if bed, err = bench.NewBed(); err != nil {
		return 1, err
	}
	defer bed.Close()
	return m.Run(), nil
}

// bad are tokens that nobody may take.
func bad() map[string]string {
	good := bed.Token(nil)
	cut := strings.LastIndexByte(good, '.') + 1
	forged := []byte(good)
	if forged[cut+5] = 'B'; good[cut+5] == 'B' { // base64url in any case, and another signature
		forged[cut+5] = 'C'
	}
	return map[string]string{
		"no token":         "",
		"no JWT":           "secret",
		"forged signature": string(forged),
		"expired":          bed.Token(func(_, c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() }),
		"other audience":   bed.Token(func(_, c map[string]any) { c["aud"] = "11111111-2222-3333-4444-555555555555" }),
		"scope missing":    bed.Token(func(_, c map[string]any) { c["scp"] = "User.Read" }),
	}
}

// Each entrant answers a call with a good token in each protocol version that it
// is measured with, and refuses one with a bad token.
func TestEntrants(t *testing.T) {
	for _, e := range calls.Entrants(".", fixed) {
		t.Run(e.Name, func(t *testing.T) {
			if missing := e.Missing(); missing != "" {
				t.Skip(missing)
			}
			ctx, cancel := context.WithCancel(t.Context())
			p, err := calls.Start(ctx, bed, &e)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Wait()
			defer cancel()
			for _, version := range []string{calls.Old, calls.New} {
				for _, req := range []calls.Request{calls.Call(version, bed.Token(nil)), calls.List(version, bed.Token(nil))} {
					status, body, err := p.Once(ctx, req)
					if err != nil {
						t.Fatal(err)
					}
					if good := status == http.StatusOK && strings.Contains(body, req.Want); good != slices.Contains(e.Speaks, version) {
						t.Errorf("%s of %s is answered: %t; %d %.500s", req.Name, version, good, status, body)
					}
				}
			}
			for name, token := range bad() {
				status, body, err := p.Once(ctx, calls.Call(calls.Old, token))
				if err != nil {
					t.Fatal(err)
				}
				if refused := status == http.StatusUnauthorized || status == http.StatusForbidden; refused == e.Open {
					t.Errorf("%s: %d %.500s", name, status, body)
				}
			}
		})
	}
}

// So do the handlers that are called directly; and ours shows the admin tools to
// administrators alone.
func TestHandlers(t *testing.T) {
	admin := bed.Token(func(_, c map[string]any) { c["roles"] = []string{calls.AdminRole} })
	for _, h := range calls.Handlers() {
		t.Run(h.Name, func(t *testing.T) {
			handler, err := h.New(t.Context(), calls.EntraOf(bed))
			if err != nil {
				t.Fatal(err)
			}
			for name, token := range bad() {
				status, body, err := calls.Once(t.Context(), handler, calls.Call(calls.New, token))
				if err != nil {
					t.Fatal(err)
				}
				if refused := status == http.StatusUnauthorized || status == http.StatusForbidden; refused == h.Open {
					t.Errorf("%s: %d %.500s", name, status, body)
				}
			}
			for _, version := range []string{calls.Old, calls.New} {
				req := calls.Call(version, bed.Token(nil))
				if status, body, err := calls.Once(t.Context(), handler, req); err != nil || status != http.StatusOK || !strings.Contains(body, req.Want) {
					t.Errorf("%s: %d %.500s (%v)", req.Name, status, body, err)
				}
				for token, shown := range map[string]bool{admin: true, bed.Token(nil): !h.Filters} {
					status, body, err := calls.Once(t.Context(), handler, calls.List(version, token))
					if err != nil || status != http.StatusOK || !strings.Contains(body, calls.Called) || strings.Contains(body, "admin_audit") != shown {
						t.Errorf("tools/list of %s: want the admin tools %t; %d %.3000s (%v)", version, shown, status, body, err)
					}
				}
			}
		})
	}
}

// The Go SDK answers the same with its decoding fixed, whatever it is sent: to the
// byte where it understands the message, up to the decoder's words where it does not.
func TestFixedAnswersTheSame(t *testing.T) {
	answers := map[string][]string{} // by name of what is sent: of the SDK as it is, and fixed
	good := calls.Call(calls.Old, "")
	for _, e := range calls.GoEntrants(fixed) {
		if e.Name != "the Go SDK's handler alone" && e.Name != "the Go SDK's handler alone, decoding fixed" {
			continue
		}
		ctx, cancel := context.WithCancel(t.Context())
		p, err := calls.Start(ctx, bed, &e)
		if err != nil {
			t.Fatal(err)
		}
		for name, body := range map[string]string{
			"good":                   good.Body,
			"case of the envelope":   strings.Replace(good.Body, `"method"`, `"Method"`, 1),
			"case of the parameters": strings.Replace(good.Body, `"name"`, `"Name"`, 1),
			"case of the arguments":  strings.Replace(good.Body, `"text"`, `"Text"`, 1),
			"null byte in a name":    strings.Replace(good.Body, `"name"`, `"name\u0000"`, 1),
			"member twice":           strings.Replace(good.Body, `"limit":5`, `"limit":5,"limit":"x"`, 1),
			"trailing text":          good.Body + "x",
			"trailing message":       good.Body + good.Body,
			"trailing bracket":       good.Body + "}",
			"cut off":                good.Body[:len(good.Body)-2],
			"trailing comma":         strings.Replace(good.Body, `"limit":5`, `"limit":5,`, 1),
			"leading zero":           strings.Replace(good.Body, `"limit":5`, `"limit":05`, 1),
			"wrong type":             strings.Replace(good.Body, `"limit":5`, `"limit":"5"`, 1),
			"white space only":       "  ",
			"depth 900":              strings.Replace(good.Body, `"limit":5`, `"limit":`+strings.Repeat("[", 900)+strings.Repeat("]", 900), 1),
			"depth 1001":             strings.Replace(good.Body, `"limit":5`, `"limit":`+strings.Repeat("[", 1001)+strings.Repeat("]", 1001), 1),
			"number beyond an int64": strings.Replace(good.Body, `"limit":5`, `"limit":99999999999999999999`, 1),
			"invalid UTF-8":          strings.Replace(good.Body, `"the"`, "\"\xff\"", 1),
			"control character":      strings.Replace(good.Body, `"the"`, "\"\x01\"", 1),
			"escape that is none":    strings.Replace(good.Body, `"the"`, `"\x"`, 1),
			"half a surrogate":       strings.Replace(good.Body, `"the"`, `"\ud800"`, 1),
			"id beyond 2^53":         strings.Replace(good.Body, `"id":1`, `"id":9007199254740993`, 1),
		} {
			status, text, err := p.Once(ctx, good.WithBody(body))
			if err != nil {
				t.Fatalf("%s, %s: %v", e.Name, name, err)
			}
			const malformed = "malformed payload: unmarshaling jsonrpc message: "
			if strings.HasPrefix(text, malformed) {
				text = malformed
			}
			answers[name] = append(answers[name], fmt.Sprintf("%d %s", status, text))
		}
		cancel()
		p.Wait()
	}
	for name, a := range answers {
		switch {
		case len(a) != 2:
			t.Errorf("%s: %d answers, want 2", name, len(a))
		case a[0] != a[1]:
			t.Errorf("%s: fixed %.300q, want as it is %.300q", name, a[1], a[0])
		}
	}
}

// Everything has its turn, and is found to cost something.
func TestMeasure(t *testing.T) {
	verified := 0
	costs, err := calls.Direct(t.Context(), calls.EntraOf(bed), calls.Handlers(), calls.Call(calls.New, bed.Token(nil)), func() { verified++ }, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(costs), len(calls.Handlers()); got != want {
		t.Errorf("%d costs, want %d", got, want)
	}
	if verified == 0 {
		t.Error("the unit was not measured")
	}
	rates, err := calls.Load(t.Context(), bed, calls.GoEntrants(fixed)[:2], []calls.Request{calls.Call(calls.Old, bed.Token(nil))}, 2, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	for i, rounds := range rates {
		for _, r := range rounds {
			if len(rounds) != 2 || r.PerSecond <= 0 || r.CPU <= 0 || runtime.GOOS == "linux" && r.Resident <= 0 {
				t.Errorf("entrant %d: %+v, want 2 rounds with positive numbers", i, rounds)
			}
		}
	}
}

// The example server starts, and more users than one are asked for.
func TestCollectorTable(t *testing.T) {
	table, err := calls.CollectorTable(t.Context(), bed, temp, 20, 1, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(table, "\n| "); got != 3 {
		t.Errorf("%d rows, want 3:\n%s", got, table)
	}
}
