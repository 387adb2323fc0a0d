package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-demo"}, func(string) string { return "" }, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d, want 0; %s", code, stderr.String())
	}
	as := strings.Split(stdout.String(), "As ")
	if len(as) != 3 {
		t.Fatalf("output is %q, want what Alice and Bob got", stdout.String())
	}
	const want = `{"secrets":[{"enabled":true,"name":"signing-key"},{"enabled":true,"expires":"2027-01-31T00:00:00Z","name":"smtp-password"}]}`
	if !strings.Contains(as[1], want) {
		t.Errorf("Alice got %q, want %q", as[1], want)
	}
	if !strings.Contains(as[2], "403") || strings.Contains(as[2], "smtp-password") {
		t.Errorf("Bob got %q, want the vault's refusal (403) and no names", as[2])
	}
}

func TestNothingConfigured(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), nil, func(string) string { return "" }, &stdout, &stderr)
	for _, want := range []string{"tenantID", "clientID", "method"} {
		if code != 1 || !strings.Contains(stderr.String(), want) {
			t.Errorf("exit code %d, error %q; want 1 and %q", code, stderr.String(), want)
		}
	}
}
