package main

import (
	"strings"
	"testing"
)

func TestSetupApplyTwice(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	file := s.spec()
	s.must(exitDiffers, "plan", "-f", file)
	first := s.must(exitOK, "apply", "-f", file)
	for _, want := range []string{"TENANT_ID=" + s.tenant.ID(), "APP_ID_URIS=", "https://mcp.example.com/mcp", "UMI_CLIENT_ID=" + s.identity.ClientID,
		"scope: https://mcp.example.com/mcp/access_as_user"} {
		if !strings.Contains(first, want) {
			t.Errorf("apply prints no %q:\n%s", want, first)
		}
	}
	s.wire.written()
	second := s.must(exitOK, "apply", "-f", file)
	if writes := s.wire.written(); len(writes) > 0 || !strings.Contains(second, "No change") {
		t.Errorf("the second apply writes %q; want none\n%s", writes, second)
	}
	s.must(exitOK, "check", "-f", file)
	s.must(exitOK, "plan", "-f", file)
}
