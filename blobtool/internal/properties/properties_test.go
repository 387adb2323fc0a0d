package properties_test

import (
	"errors"
	"maps"
	"mime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/properties"
)

func TestContentTypes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		only              []string
		contentType, blob string
		want              string
		kind              error
	}{
		"none":                  {nil, "", "a", "application/octet-stream", nil},
		"text":                  {nil, "Text/Plain; Charset=utf-8", "a.txt", "text/plain; charset=utf-8", nil},
		"json as text":          {nil, "text/plain", "a.json", "text/plain", nil},
		"csv as text":           {nil, "text/plain", "a.csv", "text/plain", nil},
		"anything as bytes":     {nil, "application/octet-stream", "a.png", "application/octet-stream", nil},
		"unknown extension":     {nil, "application/x-own", "a.own", "application/x-own", nil},
		"png as jpeg":           {nil, "image/jpeg", "a.png", "", fault.ErrInvalidArgument},
		"html as text":          {nil, "text/plain", "a.html", "", fault.ErrUnsupported},
		"xhtml":                 {nil, "application/xhtml+xml", "a", "", fault.ErrUnsupported},
		"html, named":           {[]string{"text/html"}, "text/html", "a.html", "text/html", nil},
		"html, not by family":   {[]string{"text/*"}, "text/html", "a.html", "", fault.ErrUnsupported},
		"family":                {[]string{"image/*"}, "image/png", "a.png", "image/png", nil},
		"svg, not by family":    {[]string{"image/*"}, "image/svg+xml", "a", "", fault.ErrUnsupported},
		"bytes by extension":    {[]string{"text/plain", "application/octet-stream"}, "", "a.png", "", fault.ErrUnsupported},
		"not among those":       {[]string{"text/plain"}, "text/csv", "a.csv", "", fault.ErrUnsupported},
		"two types":             {nil, "text/plain, text/html", "a", "", fault.ErrInvalidArgument},
		"not ASCII":             {nil, "text/plaïn", "a", "", fault.ErrInvalidArgument},
		"long":                  {nil, "text/plain; a=" + strings.Repeat("x", 300), "a", "", fault.ErrInvalidArgument},
		"script in other words": {nil, "application/x-ecmascript", "a", "", fault.ErrUnsupported},
		"wsdl":                  {nil, "application/wsdl+xml", "a", "", fault.ErrUnsupported},
		"html by another name":  {nil, "text/x-server-parsed-html", "a", "", fault.ErrUnsupported},
		"html application":      {nil, "application/hta", "a", "", fault.ErrUnsupported},
		"html application name": {nil, "text/plain", "a.HTA", "", fault.ErrUnsupported},
		"x-svg":                 {nil, "image/x-svg", "a", "", fault.ErrUnsupported},
		"x-xml":                 {nil, "text/x-xml; charset=utf-8", "a", "", fault.ErrUnsupported},
		"schema":                {nil, "", "a.xsd", "", fault.ErrUnsupported},
		"old script":            {nil, "text/livescript1.1", "a", "", fault.ErrUnsupported},
		"mail parts":            {nil, "message/external-body", "a", "", fault.ErrUnsupported},
		"html in a parameter":   {nil, `text/plain; x="a, text/html; b"`, "a", "", fault.ErrUnsupported},
		"comma in a parameter":  {nil, `video/mp4; codecs="a, b"`, "a.mp4", `video/mp4; codecs="a, b"`, nil},
		"mail":                  {nil, "message/rfc822", "a", "", fault.ErrUnsupported},
	} {
		types, faults := properties.ParseContentTypes(c.only)
		if len(faults) > 0 {
			t.Fatalf("%s: %v", name, faults)
		}
		got, err := types.Check(c.contentType, c.blob)
		if got != c.want || !errors.Is(err, c.kind) {
			t.Errorf("%s: Check(%q, %q) = %q, %v; want %q, %v", name, c.contentType, c.blob, got, err, c.want, c.kind)
		}
	}
}

// FuzzContentType: a type that passes is one media type, and not one that browsers run.
func FuzzContentType(f *testing.F) {
	for _, s := range []string{"text/plain", "TEXT/HTML", "text/html;", " text/html", "text/html;a=b;a=c", "a/xml", "multipart/x", "text/plain; charset=\"a\r\nb\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var types properties.ContentTypes
		got, err := types.Check(s, "a")
		if err != nil {
			return
		}
		main, _, err := mime.ParseMediaType(got)
		if err != nil || strings.ContainsAny(got, "\r\n\x00") || main == "text/html" || strings.HasSuffix(main, "xml") || strings.HasPrefix(main, "multipart/") {
			t.Fatalf("%q passed as %q (%q, %v)", s, got, main, err)
		}
		if types.CheckKept(s, "a") != nil && s != "" {
			t.Fatalf("%q may be written and not kept", s)
		}
	})
}

// FuzzMetadata: what passes fits in HTTP headers.
func FuzzMetadata(f *testing.F) {
	f.Add("a", "b", "c", "d")
	f.Add("A", "x", "a", "y")
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2 string) {
		got, err := properties.CheckMetadata(map[string]string{n1: v1, n2: v2})
		if err != nil {
			return
		}
		for name, value := range got {
			if name != strings.ToLower(name) || name == properties.Marker || name == "hdi_isfolder" || value == "" || strings.TrimSpace(value) != value || strings.ContainsAny(name+value, "\r\n\x00") {
				t.Fatalf("%q: %q passed", name, value)
			}
		}
		if n1 != n2 && len(got) != 2 {
			t.Fatalf("got %v of two", got)
		}
	})
}

func TestChangeMetadata(t *testing.T) {
	t.Parallel()
	old := map[string]string{"a": "1", "b": "2"}
	for name, c := range map[string]struct {
		set    map[string]string
		remove []string
		want   map[string]string
		diff   string
		kind   error
	}{
		"add":           {map[string]string{"C": "3"}, nil, map[string]string{"a": "1", "b": "2", "c": "3"}, "+c: 3\n", nil},
		"replace":       {map[string]string{"A": "9"}, nil, map[string]string{"a": "9", "b": "2"}, "-a: 1\n+a: 9\n", nil},
		"remove":        {nil, []string{"B"}, map[string]string{"a": "1"}, "-b: 2\n", nil},
		"remove none":   {nil, []string{"c"}, old, "", nil},
		"the same":      {map[string]string{"a": "1"}, nil, old, "", nil},
		"nothing":       {nil, nil, nil, "", fault.ErrInvalidArgument},
		"both":          {map[string]string{"a": "1"}, []string{"A"}, nil, "", fault.ErrInvalidArgument},
		"marker":        {nil, []string{"MCPENTRA_WRITE"}, nil, "", fault.ErrInvalidArgument},
		"directory":     {nil, []string{"hdi_isfolder"}, nil, "", fault.ErrInvalidArgument},
		"no identifier": {nil, []string{"a b"}, nil, "", fault.ErrInvalidArgument},
		"too large":     {map[string]string{"c": strings.Repeat("x", properties.MaxMetadata-44)}, nil, nil, "", fault.ErrTooLarge},
	} {
		got, err := properties.ChangeMetadata(old, c.set, c.remove)
		if !errors.Is(err, c.kind) || err == nil && !maps.Equal(got, c.want) {
			t.Errorf("%s: ChangeMetadata(%v, %v, %q) = %v, %v; want %v, %v", name, old, c.set, c.remove, got, err, c.want, c.kind)
			continue
		}
		if err != nil {
			continue
		}
		if diff, destroys := properties.Diff(old, got); diff != c.diff || destroys != strings.Contains(diff, "-") {
			t.Errorf("%s: Diff(%v, %v) = %q, %t; want %q", name, old, got, diff, destroys, c.diff)
		}
	}
}

// FuzzChangeMetadata: what comes out is what is asked for, can be sent, and leaves what was there.
func FuzzChangeMetadata(f *testing.F) {
	f.Add("a", "1", "B", "2", "a")
	f.Add("a", "1", "A", "2", "b")
	f.Add("a", "x\xff", "mcpentra_write", "", "")
	f.Fuzz(func(t *testing.T, name, value, newName, newValue, remove string) {
		old := map[string]string{strings.ToLower(name): value}
		next, err := properties.ChangeMetadata(old, map[string]string{newName: newValue}, []string{remove})
		if old[strings.ToLower(name)] != value || len(old) != 1 {
			t.Fatalf("the metadata before is %v now", old)
		}
		if err != nil {
			return
		}
		want := maps.Clone(old)
		delete(want, strings.ToLower(remove))
		want[strings.ToLower(newName)] = newValue
		if !maps.Equal(next, want) {
			t.Errorf("got %v, want %v", next, want)
		}
		if _, ok := next[properties.Marker]; ok && strings.ToLower(name) != properties.Marker {
			t.Errorf("got the marker in %v", next)
		}
		if diff, _ := properties.Diff(old, next); (diff == "") != maps.Equal(old, next) || !utf8.ValidString(diff) {
			t.Errorf("Diff(%v, %v) = %q", old, next, diff)
		}
	})
}

// A blob's own type may be anything.
func TestKeptContentTypes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		only        []string
		contentType string
		kind        error
	}{
		"none":              {nil, "", nil},
		"text":              {nil, "text/plain", nil},
		"malformed":         {nil, "text", nil},
		"html":              {nil, "Text/HTML;", fault.ErrUnsupported},
		"html second":       {nil, "text/plain, text/html", fault.ErrUnsupported},
		"html in the end":   {nil, "text/plain; charset=utf-8 ,\ttext/html;x", fault.ErrUnsupported},
		"html, named":       {[]string{"text/plain", "text/html"}, "text/plain, text/html", nil},
		"others, not named": {[]string{"text/plain"}, "text/csv, text/plain", fault.ErrUnsupported},
	} {
		types, faults := properties.ParseContentTypes(c.only)
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		if err := types.CheckKept(c.contentType, "a"); !errors.Is(err, c.kind) {
			t.Errorf("%s: got %v, want %v", name, err, c.kind)
		}
	}
}
