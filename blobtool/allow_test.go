package blobtool_test

import (
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

const account = "https://account.blob.core.windows.net"

func TestNewAccount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		url     string
		options *blobtool.Options
		faults  []string
	}{
		"good":        {account, nil, nil},
		"allow":       {account, &blobtool.Options{Allow: []string{"docs", "$web", "logs/2026/", "logs/2025/", "notes/a..b"}}, nil},
		"no URL":      {"", nil, []string{"serviceURL is missing"}},
		"nothing":     {account, &blobtool.Options{Allow: []string{"", "/docs"}}, []string{"Options.Allow[0] is missing", "Options.Allow[1] is missing"}},
		"climbing":    {account, &blobtool.Options{Allow: []string{"docs/../secret"}}, []string{`Options.Allow[0] "docs/../secret": blob_path "../secret" has the segment ".."`}},
		"a beginning": {account, &blobtool.Options{Allow: []string{"docs/reports-*", "docs/reports/*", "docs/.*", "logs/*"}}, nil},
		"asterisks":   {account, &blobtool.Options{Allow: []string{"docs/**", "docs/*/x", "do*", "*"}}, []string{`Options.Allow[0] "docs/**" has an asterisk before its end`, `Options.Allow[1] "docs/*/x" has an asterisk`, `Options.Allow[2] "do*" may only have`, `Options.Allow[3] "*" must have`}},
		"empty names": {account, &blobtool.Options{Allow: []string{"docs//reports", "docs/a//b", "docs/a//", "docs//*"}}, []string{`Options.Allow[0] "docs//reports" has an empty folder name (//)`, "Options.Allow[1]", "Options.Allow[2]", "Options.Allow[3]"}},
		"odd names":   {account, &blobtool.Options{Allow: []string{"docs/..", "docs/./*", `docs/a\b`, "docs/a\x00*"}}, []string{"Options.Allow[0]", "Options.Allow[1]", "Options.Allow[2]", "Options.Allow[3]"}},
		"white space": {account, &blobtool.Options{Allow: []string{"docs/reports/ ", "docs/ a", "docs/a\n"}}, []string{"Options.Allow[0]", "Options.Allow[1]", "Options.Allow[2]"}},
		"upper case":  {account, &blobtool.Options{Allow: []string{"Docs/a"}}, []string{`Options.Allow[0] "Docs" may only have`}},
		"other tool":  {account, &blobtool.Options{Tools: []string{"delete_blob"}}, []string{`Options.Tools[0] is "delete_blob"; the tools of this set are `}},
		"with saving": {account, &blobtool.Options{DownloadDir: "x"}, []string{"Options.DownloadDir is only for read_blob_with_token"}},
		"its tool":    {account, &blobtool.Options{Tools: []string{"read_blob_with_token"}}, []string{"Options.Tools[0]"}},
	} {
		set, err := blobtool.NewAccount(c.url, noCredential, c.options)
		if (err == nil) != (len(c.faults) == 0) || (set == nil) != (err != nil) {
			t.Errorf("%s: got %v, want a set, or the faults %q", name, err, c.faults)
			continue
		}
		if err == nil {
			continue
		}
		wantKind(t, name, err, blobtool.ErrConfiguration)
		for _, fault := range c.faults {
			if !strings.Contains(err.Error(), fault) {
				t.Errorf("%s: %v, want %q", name, err, fault)
			}
		}
	}
	_, err := blobtool.New(account, "docs", noCredential, &blobtool.Options{Allow: []string{"docs/a/", "secret"}})
	wantKind(t, "another container", err, blobtool.ErrConfiguration)
}

func TestAllow(t *testing.T) {
	t.Parallel()
	one := func(allow ...string) *blobtool.Set {
		set, err := blobtool.New(account, "docs", noCredential, &blobtool.Options{Allow: allow})
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	all := func(allow ...string) *blobtool.Set {
		set, err := blobtool.NewAccount(account, noCredential, &blobtool.Options{Allow: allow})
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	for name, c := range map[string]struct {
		set             *blobtool.Set
		container, blob string
		read, list      error // kinds
	}{
		"one container":          {one(), "", "a", nil, nil},
		"its name":               {one(), "docs", "a", nil, nil},
		"another":                {one(), "secret", "a", blobtool.ErrNotAllowed, blobtool.ErrNotAllowed},
		"the container itself":   {one(), "", "", nil, nil},
		"inside":                 {one("docs/reports/"), "", "reports/a", nil, nil},
		"outside":                {one("docs/reports/"), "", "reports-2026/a", blobtool.ErrNotAllowed, blobtool.ErrNotAllowed},
		"above":                  {one("docs/reports/"), "", "rep", blobtool.ErrNotAllowed, blobtool.ErrNotAllowed},
		"all of it":              {one("docs/reports/"), "", "", nil, blobtool.ErrNotAllowed},
		"climbing out":           {one("docs/reports/"), "", "reports/../secret", blobtool.ErrInvalidPath, nil},
		"leading slash":          {one("docs/reports/"), "", "/reports/a", blobtool.ErrNotAllowed, blobtool.ErrNotAllowed},
		"backslash":              {one("docs/reports/"), "", `reports/..\secret`, blobtool.ErrInvalidPath, nil},
		"upper case":             {one("docs/reports/"), "", "Reports/a", blobtool.ErrNotAllowed, blobtool.ErrNotAllowed},
		"the folder itself":      {one("docs/reports/"), "", "reports", blobtool.ErrNotAllowed, blobtool.ErrNotAllowed},
		"blob or folder, blob":   {one("docs/reports"), "", "reports", nil, blobtool.ErrNotAllowed},
		"blob or folder, below":  {one("docs/reports"), "", "reports/2026/a", nil, nil},
		"blob or folder, other":  {one("docs/reports"), "", "reports-2026/a", blobtool.ErrNotAllowed, blobtool.ErrNotAllowed},
		"blob or folder, longer": {one("docs/reports"), "", "reportsx", blobtool.ErrNotAllowed, blobtool.ErrNotAllowed},
		"beginning of a name":    {one("docs/reports-*"), "", "reports-2026/a", nil, nil},
		"beginning, exactly":     {one("docs/reports-*"), "", "reports-", nil, nil},
		"beginning, shorter":     {one("docs/reports-*"), "", "reports", blobtool.ErrNotAllowed, blobtool.ErrNotAllowed},
		"beginning of any name":  {one("docs/*"), "", "x", nil, nil},
		"second entry":           {one("docs/a/", "docs/b/"), "", "b/x", nil, nil},
		"whole and part":         {one("docs/a/", "docs"), "", "b/x", nil, nil},
		"account, all":           {all(), "docs", "a", nil, nil},
		"account, none":          {all(), "", "a", blobtool.ErrInvalidArgument, blobtool.ErrInvalidArgument},
		"account, injection":     {all(), "docs/a?x=", "a", blobtool.ErrInvalidArgument, blobtool.ErrInvalidArgument},
		"account, allowed":       {all("docs", "logs/x/"), "docs", "a", nil, nil},
		"account, not allowed":   {all("docs", "logs/x/"), "secret", "a", blobtool.ErrNotAllowed, blobtool.ErrNotAllowed},
		"account, part":          {all("docs", "logs/x/"), "logs", "x/a", nil, nil},
		"account, other part":    {all("docs", "logs/x/"), "logs", "y/a", blobtool.ErrNotAllowed, blobtool.ErrNotAllowed},
		"account, of other part": {all("docs/x/", "logs"), "docs", "y/a", blobtool.ErrNotAllowed, blobtool.ErrNotAllowed},
	} {
		read, list := c.set.Locate(c.container, c.blob), c.set.MayList(c.container, c.blob)
		for what, got := range map[string][2]error{"read": {read, c.read}, "list": {list, c.list}} {
			if got[1] == nil && got[0] != nil {
				t.Errorf("%s: %s: got %v, want nil", name, what, got[0])
			} else if got[1] != nil {
				wantKind(t, name+": "+what, got[0], got[1])
			}
		}
	}
	if err := one("docs/a/", "docs/b/").Locate("", "c"); !strings.Contains(err.Error(), `"docs/c" is outside what this server offers: "docs/a/", "docs/b/"`) {
		t.Errorf("Locate(c) = %v, want what is offered in it", err)
	}
}
