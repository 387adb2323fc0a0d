package blobtool_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

func TestWhereTags(t *testing.T) {
	t.Parallel()
	type c = blobtool.TagCondition
	for name, test := range map[string]struct {
		conditions []c
		where      string // empty: refused
	}{
		"one":                {[]c{{Key: "project", Value: "alpha"}}, `"project" = 'alpha'`},
		"range":              {[]c{{Key: "day", Op: ">=", Value: "2026-01-01"}, {Key: "day", Op: "<", Value: "2026-02-01"}}, `"day" >= '2026-01-01' AND "day" < '2026-02-01'`},
		"all characters":     {[]c{{Key: "a B+-./:=_9", Value: " = AND x"}}, `"a B+-./:=_9" = ' = AND x'`},
		"empty value":        {[]c{{Key: "a"}}, `"a" = ''`},
		"no key":             {[]c{{Value: "a"}}, ""},
		"quote in value":     {[]c{{Key: "a", Value: "' OR '1'='1"}}, ""},
		"quote in key":       {[]c{{Key: `a" = '1' OR "b`, Value: "1"}}, ""},
		"container in key":   {[]c{{Key: "@container", Value: "secret"}}, ""},
		"operator injection": {[]c{{Key: "a", Op: "= '1' OR", Value: "1"}}, ""},
		"not equal":          {[]c{{Key: "a", Op: "<>", Value: "1"}}, ""},
		"newline":            {[]c{{Key: "a", Value: "1\n"}}, ""},
		"not ASCII":          {[]c{{Key: "ä", Value: "1"}}, ""},
		"long key":           {[]c{{Key: strings.Repeat("a", 129), Value: "1"}}, ""},
		"long value":         {[]c{{Key: "a", Value: strings.Repeat("a", 257)}}, ""},
		"many":               {make([]c, 11), ""},
	} {
		where, err := blobtool.WhereTags(test.conditions)
		if test.where == "" {
			wantKind(t, name, err, blobtool.ErrInvalidArgument)
		} else if err != nil || where != test.where {
			t.Errorf("%s: %s, %v; want %s", name, where, err, test.where)
		}
	}
}

// oneCondition is the grammar of a single condition, and nothing more.
var oneCondition = regexp.MustCompile(`^"[A-Za-z0-9 +\-./:=_]{1,128}" (=|>|>=|<|<=) '[A-Za-z0-9 +\-./:=_]{0,256}'$`)

// FuzzWhereTags: whatever is accepted is one condition, not a query of the caller's
// own making.
func FuzzWhereTags(f *testing.F) {
	f.Add("a", "=", "b")
	f.Add("@container", ">=", "' OR ''='")
	f.Add(`"`, "", "")
	f.Fuzz(func(t *testing.T, key, op, value string) {
		where, err := blobtool.WhereTags([]blobtool.TagCondition{{Key: key, Op: op, Value: value}})
		if err == nil && !oneCondition.MatchString(where) {
			t.Fatalf("%q %q %q became %s", key, op, value, where)
		}
	})
}
