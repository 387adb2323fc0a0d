package grants_test

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clients"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/grants"
)

func code() *grants.Code {
	return &grants.Code{
		Grant: grants.Grant{
			Holder: clients.Hold{Client: clients.HashID("client"), Auth: clients.None}, Scopes: []string{"access_as_user", "Files.Read"},
			Resource: "https://mcp.example.com/mcp", CP1: true, Refresh: true,
		},
		ID: grants.NewID(), Expires: time.UnixMilli(1_800_000_000_123), Redirect: [32]byte{1}, Challenge: [32]byte{2}, Verifier: [32]byte{3},
		EntraCode: []byte("1.AXYZ.code"),
	}
}

func refresh() *grants.Refresh {
	c := code()
	return &grants.Refresh{
		Grant: c.Grant, Family: c.ID, ID: grants.NewID(), Generation: 7, Expires: c.Expires, User: grants.HashUser("alice"), Granted: []string{"access_as_user"}, EntraToken: []byte("1.AXYZ.refresh"),
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	c, r := code(), refresh()
	if got, err := grants.UnmarshalCode(c.Marshal()); err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("UnmarshalCode = %+v, %v; want %+v", got, err, c)
	}
	if got, err := grants.UnmarshalRefresh(r.Marshal()); err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("UnmarshalRefresh = %+v, %v; want %+v", got, err, r)
	}
	t.Logf("without what is Entra's, a code has %d bytes and a refresh token %d", len(c.Marshal())-len(c.EntraCode), len(r.Marshal())-len(r.EntraToken))
}

// A record that is cut, longer, or of another version is not read.
func TestMalformed(t *testing.T) {
	t.Parallel()
	for name, b := range map[string][]byte{"code": code().Marshal(), "refresh token": refresh().Marshal()} {
		read := func(b []byte) error { _, err := grants.UnmarshalCode(b); return err }
		if name == "refresh token" {
			read = func(b []byte) error { _, err := grants.UnmarshalRefresh(b); return err }
		}
		for n := range b {
			if read(b[:n]) == nil {
				t.Errorf("a %s cut to %d of %d bytes was read, want an error", name, n, len(b))
			}
		}
		if read(append(bytes.Clone(b), 0)) == nil {
			t.Errorf("a %s with one more byte was read, want an error", name)
		}
		other := bytes.Clone(b)
		other[0]++
		if read(other) == nil {
			t.Errorf("a %s of another version was read, want an error", name)
		}
	}
}

// FuzzUnmarshal: what is read is written again as the same value.
func FuzzUnmarshal(f *testing.F) {
	f.Add(code().Marshal())
	f.Add(refresh().Marshal())
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := grants.UnmarshalCode(b); err == nil {
			if again, err := grants.UnmarshalCode(c.Marshal()); err != nil || !reflect.DeepEqual(again, c) {
				t.Errorf("code %+v became %+v, %v", c, again, err)
			}
		}
		if r, err := grants.UnmarshalRefresh(b); err == nil {
			if again, err := grants.UnmarshalRefresh(r.Marshal()); err != nil || !reflect.DeepEqual(again, r) {
				t.Errorf("refresh token %+v became %+v, %v", r, again, err)
			}
		}
	})
}
