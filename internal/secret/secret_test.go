package secret_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

const value = "eyJ0eXAiOi.very.secret"

type holder struct {
	Public  secret.Text
	private secret.Text
	Pointer *secret.Text
	List    []secret.Text
}

func newHolder() holder {
	t := secret.New(value)
	return holder{Public: t, private: t, Pointer: &t, List: []secret.Text{t}}
}

func TestNoPrinterShowsASecret(t *testing.T) {
	t.Parallel()
	h := newHolder()
	var log bytes.Buffer
	for _, handler := range []slog.Handler{
		slog.NewTextHandler(&log, nil),
		slog.NewJSONHandler(&log, nil),
	} {
		slog.New(handler).Info("m", "text", h.Public, "holder", h, "pointer", h.Pointer)
	}
	outputs := map[string]string{"slog": log.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T", "%p"} {
		outputs["text "+verb] = fmt.Sprintf(verb, h.Public)
		outputs["holder "+verb] = fmt.Sprintf(verb, h)
		outputs["pointer "+verb] = fmt.Sprintf(verb, &h)
	}
	for name, out := range outputs {
		if strings.Contains(out, "secret.T") { // the type's name is fine
			out = strings.ReplaceAll(out, "secret.Text", "")
		}
		if strings.Contains(out, "very") || strings.Contains(out, fmt.Sprintf("%x", "very")) {
			t.Errorf("%s shows the secret: %s", name, out)
		}
	}
	if secret.Reveal(h.private) != value {
		t.Error("Reveal does not return the value, want it")
	}
}

func TestEncodersFail(t *testing.T) {
	t.Parallel()
	h := newHolder()
	var out bytes.Buffer
	for name, err := range map[string]error{
		"json": json.NewEncoder(&out).Encode(h),
		"xml":  xml.NewEncoder(&out).Encode(h),
		"gob":  gob.NewEncoder(&out).Encode(h),
	} {
		if err == nil {
			t.Errorf("%s encoded a secret, want an error", name)
		}
	}
	if strings.Contains(out.String(), value) {
		t.Errorf("an encoder wrote %s, want nothing of the secret", out.String())
	}
}

func TestZeroIsEmpty(t *testing.T) {
	t.Parallel()
	var zero secret.Text
	if !zero.IsZero() || !secret.New("").IsZero() || secret.New("x").IsZero() {
		t.Error("IsZero is true for the empty secret alone")
	}
	if secret.Reveal(zero) != "" {
		t.Error("the zero secret has a value")
	}
}

func TestSum(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", value} {
		text := secret.New(s)
		again := text
		if want := sha256.Sum256([]byte(s)); secret.Sum(text) != want || secret.Sum(again) != want {
			t.Errorf("the sum of %d bytes is wrong, want SHA-256, twice", len(s))
		}
	}
}
