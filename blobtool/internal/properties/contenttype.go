package properties

import (
	"errors"
	"mime"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
)

// unknownType is the type of content without one.
const unknownType = "application/octet-stream"

// ContentTypes are the media types that may be written. The zero value allows all that browsers
// and mail programs do not run.
type ContentTypes struct {
	only []string // in lower case, "image/" for image/*; empty: all but active ones
}

var (
	mediaType = regexp.MustCompile(`^[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*$`)
	family    = regexp.MustCompile(`^[a-z]+/\*$`)
)

// ParseContentTypes parses entries such as text/plain and image/*. It returns an error for each
// that is invalid, at its index.
func ParseContentTypes(entries []string) (c ContentTypes, faults map[int]error) {
	faults = map[int]error{}
	for i, entry := range entries {
		switch lower := strings.ToLower(entry); {
		case family.MatchString(lower):
			c.only = append(c.only, strings.TrimSuffix(lower, "*"))
		case mediaType.MatchString(lower):
			c.only = append(c.only, lower)
		default:
			faults[i] = errors.New("is " + fault.Quote(entry) + "; use a media type without parameters, such as text/plain or image/*")
		}
	}
	return c, faults
}

// Check returns the content type to write, in its canonical form, or why a blob of that name may
// not have it. An empty type stands for application/octet-stream. Readers go by the type or by the
// name's extension, so both are judged.
func (c ContentTypes) Check(contentType, name string) (string, error) {
	if contentType == "" {
		contentType = unknownType
	}
	t, params, err := mime.ParseMediaType(contentType)
	formatted := mime.FormatMediaType(t, params)
	if err != nil || !mediaType.MatchString(t) || formatted == "" || len(formatted) > 255 {
		return "", fault.New(fault.ErrInvalidArgument, "content_type %s is not a media type; use one such as text/plain; charset=utf-8 or application/json", fault.Quote(contentType))
	}
	if err := c.mayWrite(t, name); err != nil {
		return "", err
	}
	if _, others, several := strings.Cut(formatted, ","); several { // in a quoted parameter
		if err := c.checkOthers(others); err != nil {
			return "", err
		}
	}
	extension := strings.ToLower(path.Ext(name))
	meant, known := extensions[extension]
	if !known {
		return formatted, nil
	}
	plain := t == unknownType || t == "text/plain" && strings.HasPrefix(meant[0], "text/")
	if t != unknownType && !plain && !slices.Contains(meant, t) {
		return "", fault.New(fault.ErrInvalidArgument, "content_type %s contradicts the extension %s; use %s, or another name", fault.Quote(t), extension, strings.Join(meant, " or "))
	}
	return formatted, nil
}

// CheckText returns why text, which is stored in UTF-8, may not have a content type that Check
// returned: with another charset, readers would take it for other characters.
func CheckText(contentType string) error {
	_, params, _ := mime.ParseMediaType(contentType)
	switch charset := params["charset"]; strings.ToLower(charset) {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
		return nil
	default:
		return fault.New(fault.ErrInvalidArgument, "content_type says charset %s, but text is stored in UTF-8; leave charset out, or give the encoded content as base64", fault.Quote(charset))
	}
}

// CheckKept judges the type that a blob of that name has already, which need not be well formed.
func (c ContentTypes) CheckKept(contentType, name string) error {
	first, others, _ := strings.Cut(contentType, ",")
	t, _, err := mime.ParseMediaType(first)
	if err != nil {
		t = beforeParameters(first)
	}
	if t == "" {
		t = unknownType
	}
	if err := c.mayWrite(t, name); err != nil {
		return err
	}
	return c.checkOthers(others)
}

// checkOthers judges what follows the first comma. Of several types, browsers take the last one.
func (c ContentTypes) checkOthers(others string) error {
	for other := range strings.SplitSeq(others, ",") {
		if t := beforeParameters(other); active(t) {
			if err := c.allow("content_type", t); err != nil {
				return err
			}
		}
	}
	return nil
}

func beforeParameters(contentType string) string {
	t, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	return strings.Trim(t, " \t\"")
}

// mayWrite judges a type, and that for which the name's extension stands if the type says nothing
// or is harmless.
func (c ContentTypes) mayWrite(t, name string) error {
	if err := c.allow("content_type", t); err != nil {
		return err
	}
	extension := strings.ToLower(path.Ext(name))
	if meant, known := extensions[extension]; known && (active(meant[0]) || len(c.only) > 0 && t == unknownType) {
		return c.allow("the extension "+extension, meant[0])
	}
	return nil
}

// allow returns why a type may not be written. An active type must be named in full. what says where
// the type comes from.
func (c ContentTypes) allow(what, t string) error {
	named := slices.ContainsFunc(c.only, func(allowed string) bool {
		return t == allowed || strings.HasSuffix(allowed, "/") && strings.HasPrefix(t, allowed) && !active(t)
	})
	switch {
	case named || len(c.only) == 0 && !active(t):
		return nil
	case active(t):
		return fault.New(fault.ErrUnsupported, "%s (%s) is not allowed: a program that opens such content may run it. Use text/plain with another extension, or tell the operator of this server", what, t)
	}
	return fault.New(fault.ErrUnsupported, "%s (%s) is not allowed; this server writes %s", what, t, strings.Join(c.only, ", "))
}

// active reports whether programs that open content of that type run what is in it, or take it
// apart into content of other types.
func active(t string) bool {
	main, sub, _ := strings.Cut(t, "/")
	sub = strings.TrimPrefix(strings.TrimPrefix(sub, "x-"), "vnd.")
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(sub, part) })
	}
	switch {
	case main == "multipart", main == "message", has("mimearchive", "web-archive"):
		return true
	case has("html"), sub == "hta", strings.HasPrefix(sub, "svg"):
		return true
	case sub == "xml", strings.HasSuffix(sub, "+xml"), strings.HasPrefix(sub, "xml-"), sub == "xsl", sub == "xslt", sub == "xul", sub == "xaml", sub == "mathml", strings.HasPrefix(sub, "wap.wml"):
		return true
	case has("javascript", "ecmascript", "jscript", "livescript", "vbscript"), t == "text/x-component":
		return true
	}
	return false
}

// extensions are the types that an extension stands for, the usual one first. It is ours, because
// package mime reads the machine's.
var extensions = map[string][]string{
	".txt": {"text/plain"}, ".text": {"text/plain"}, ".log": {"text/plain"},
	".md": {"text/markdown", "text/x-markdown"}, ".csv": {"text/csv", "application/csv"}, ".tsv": {"text/tab-separated-values"},
	".json": {"application/json", "text/json", "text/plain"}, ".jsonl": {"application/jsonl", "application/x-ndjson", "application/json", "text/plain"},
	".ndjson": {"application/x-ndjson", "application/json", "text/plain"},
	".yaml":   {"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/plain"},
	".yml":    {"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/plain"},
	".html":   {"text/html"}, ".htm": {"text/html"}, ".shtml": {"text/html"}, ".shtm": {"text/html"}, ".hta": {"application/hta"}, ".htc": {"text/x-component"}, ".xhtml": {"application/xhtml+xml"}, ".xht": {"application/xhtml+xml"},
	".svg": {"image/svg+xml"}, ".svgz": {"image/svg+xml"},
	".xml": {"application/xml", "text/xml"}, ".xsl": {"application/xml", "text/xsl", "text/xml"}, ".xslt": {"application/xslt+xml", "text/xsl", "application/xml"},
	".xsd": {"application/xml", "text/xml"}, ".dtd": {"application/xml-dtd"}, ".rdf": {"application/rdf+xml", "application/xml"}, ".xul": {"application/vnd.mozilla.xul+xml"},
	".mml": {"application/mathml+xml"}, ".wsdl": {"application/wsdl+xml", "application/xml"}, ".kml": {"application/vnd.google-earth.kml+xml"}, ".gpx": {"application/gpx+xml"},
	".rss": {"application/rss+xml", "application/xml"}, ".atom": {"application/atom+xml", "application/xml"},
	".js": {"text/javascript", "application/javascript"}, ".mjs": {"text/javascript", "application/javascript"}, ".cjs": {"text/javascript", "application/javascript"},
	".mht": {"message/rfc822", "multipart/related"}, ".mhtml": {"message/rfc822", "multipart/related"}, ".eml": {"message/rfc822"},
	".pdf": {"application/pdf"}, ".zip": {"application/zip"}, ".gz": {"application/gzip", "application/x-gzip"},
	".png": {"image/png"}, ".jpg": {"image/jpeg"}, ".jpeg": {"image/jpeg"}, ".gif": {"image/gif"}, ".webp": {"image/webp"}, ".bmp": {"image/bmp"},
	".docx": {"application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
	".xlsx": {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
	".pptx": {"application/vnd.openxmlformats-officedocument.presentationml.presentation"},
	".mp3":  {"audio/mpeg"}, ".wav": {"audio/wav", "audio/x-wav", "audio/wave"}, ".mp4": {"video/mp4", "audio/mp4"},
}
