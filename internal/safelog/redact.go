package safelog

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/mcpentra/mcp-entra-go/internal/azuretext"
)

// errorText returns an error's text for the log, shortened. Tools' errors quote things that must
// not be logged: errors of net/http include the URL's query, which may be a shared access
// signature, and errors of the Azure SDK include the whole response body.
func errorText(err error, most int) string {
	text := err.Error()
	for e := range all(err) {
		switch e := e.(type) { //nolint:errorlint // all unwraps
		case *url.Error:
			clean := withoutQuery(e.URL)
			quoted := strconv.Quote(e.URL)
			text = strings.ReplaceAll(text, quoted[1:len(quoted)-1], clean)
			text = strings.ReplaceAll(text, e.URL, clean)
		case *azcore.ResponseError:
			text = strings.ReplaceAll(text, e.Error(), azuretext.ForLog(e))
		}
	}
	return redacted(Cut(text, most))
}

// all yields the error and every error that it wraps, including joined ones.
func all(err error) func(yield func(error) bool) {
	var visit func(err error, yield func(error) bool) bool
	visit = func(err error, yield func(error) bool) bool {
		if err == nil {
			return true
		}
		if !yield(err) {
			return false
		}
		switch e := err.(type) { //nolint:errorlint // this unwraps
		case interface{ Unwrap() error }:
			return visit(e.Unwrap(), yield)
		case interface{ Unwrap() []error }:
			for _, one := range e.Unwrap() {
				if !visit(one, yield) {
					return false
				}
			}
		}
		return true
	}
	return func(yield func(error) bool) { visit(err, yield) }
}

// withoutQuery returns the URL without the parts that can hold a credential: user information,
// query, and fragment.
func withoutQuery(s string) string {
	s, _, _ = strings.Cut(s, "#")
	s, _, hasQuery := strings.Cut(s, "?")
	s = userInfo.ReplaceAllString(s, "$1")
	if hasQuery {
		s += "?…"
	}
	return s
}

var (
	userInfo = regexp.MustCompile(`(?i)\b([a-z][a-z0-9+.-]*://)[^\s/?#"'<>]*@`)
	// webQuery matches a web address with its query or fragment. MCP resource URIs have other
	// schemes, and their queries are names.
	webQuery = regexp.MustCompile(`(?i)\b((?:https?|wss?|rediss?|amqps?)://[^\s?#"'<>\\]*)[?#][^\s"'<>\\]*`)
	// Credentials are recognized by their name, their scheme, or the beginning of a JWT.
	named = regexp.MustCompile(`(?i)((?:\b|%26|%3f|_)(?:sig|signature|token|assertion|secret|passw(?:or)?d|pwd|api-?_?key|key|accountkey|sharedaccesskey|subscription-key|cookie)` +
		`(?:\\?["']\s*:\s*\\?["']|=|%3d))[^&\s"'\\,;)<>…]+`)
	code   = regexp.MustCompile(`(?i)(\bcode(?:=|%3d))[^&\s"'\\,;)<>…]{6,}`) // OAuth codes; error codes are shorter
	scheme = regexp.MustCompile(`(?i)\b((?:bearer|dpop|sharedkey|sharedaccesssignature|authorization\\?"?[:=]\s*\\?"?basic)\s+)[^\s"'\\,;)<>…]{6,}`)
	jwt    = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)*`)
)

// invalid matches validation errors that quote a tool's arguments after the location and the
// violated rule.
var invalid = regexp.MustCompile(`(?s)(validating .*?: (?:type|enum|const|multipleOf|minimum|maximum|exclusiveMinimum|exclusiveMaximum|minLength|maxLength|pattern|contains|anyOf|oneOf|not):|` +
	`unexpected additional properties) .*`)

// redacted returns the text without credentials.
func redacted(text string) string {
	if isName(text) {
		return text
	}
	if strings.Contains(text, "validating ") || strings.Contains(text, "additional properties") {
		text = invalid.ReplaceAllString(text, "$1 …")
	}
	if strings.Contains(text, "://") {
		text = webQuery.ReplaceAllString(text, "$1?…")
		text = userInfo.ReplaceAllString(text, "$1")
	}
	if strings.ContainsAny(text, "=:%") {
		text = named.ReplaceAllString(text, "$1…")
		text = code.ReplaceAllString(text, "$1…")
	}
	if hasScheme(text) {
		text = scheme.ReplaceAllString(text, "$1…")
	}
	if strings.Contains(text, "eyJ") {
		text = jwt.ReplaceAllString(text, "eyJ…")
	}
	return text
}

// isName reports whether the text is a plain name or ID, like most text in a log, and so can't
// contain a credential.
func isName(text string) bool {
	for i := range len(text) {
		if !inSecrets[text[i]] {
			continue
		}
		if text[i] != 'J' || strings.HasSuffix(text[:i], "ey") {
			return false
		}
	}
	return true
}

// inSecrets are the bytes of which each text with a credential has one: white space, the signs
// between a name and its value, and the end of "eyJ".
var inSecrets = [256]bool{' ': true, '\t': true, '\n': true, '\r': true, '\f': true, '=': true, ':': true, '%': true, 'J': true}

// hasScheme reports whether an authorization scheme and white space occur in the text. It avoids
// an expensive search of most texts.
func hasScheme(text string) bool {
	for i := range len(text) {
		if c := text[i]; c != ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' {
			continue
		}
		for _, name := range []string{"bearer", "dpop", "sharedkey", "sharedaccesssignature", "basic"} {
			if begin := i - len(name); begin >= 0 && strings.EqualFold(text[begin:i], name) {
				return true
			}
		}
	}
	return false
}

// Panic returns the log's text for a panic value: its type, and its text if the value has a
// readable one. Printing other values could print a token.
func Panic(p any) string {
	switch p := p.(type) {
	case error:
		return fmt.Sprintf("%T: %s", p, errorText(p, MaxText))
	case string:
		return redacted(Cut(p, MaxText))
	case fmt.Stringer:
		return fmt.Sprintf("%T: %s", p, redacted(Cut(p.String(), MaxText)))
	}
	return fmt.Sprintf("a value of type %T", p)
}
