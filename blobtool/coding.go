package blobtool

import (
	"slices"
	"strings"

	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
)

// plainCodings are values of Content-Encoding that stand for no packing: HTTP's own, S3's
// for how a body was sent, and those of mail.
var plainCodings = []string{"identity", "aws-chunked", "none", "binary", "7bit", "8bit"}

// contentCoding returns what a Content-Encoding says about how content is packed, in lower
// case, and nothing if it is plain. Some writers put the charset there.
func contentCoding(contentEncoding string) string {
	var codings []string
	for _, coding := range codingsOf(contentEncoding) {
		switch {
		case coding == "x-gzip":
			coding = "gzip"
		case slices.Contains(plainCodings, coding), isCharset(coding):
			continue
		}
		codings = append(codings, coding)
	}
	return strings.Join(codings, ", ")
}

// charsetIn returns the charset that a Content-Encoding names, or nothing.
func charsetIn(contentEncoding string) string {
	for _, coding := range codingsOf(contentEncoding) {
		if isCharset(coding) {
			return coding
		}
	}
	return ""
}

// strangeCoding reports whether a Content-Encoding says more than that content is plain.
func strangeCoding(contentEncoding string) bool {
	return contentCoding(contentEncoding) != "" || slices.Contains(codingsOf(contentEncoding), "aws-chunked")
}

// codingsOf takes the list apart.
func codingsOf(contentEncoding string) []string {
	var codings []string
	for coding := range strings.SplitSeq(contentEncoding, ",") {
		coding, found := strings.CutPrefix(strings.ToLower(strings.TrimSpace(coding)), "charset=")
		if coding = strings.Trim(coding, `"' `); coding != "" || found {
			codings = append(codings, coding)
		}
	}
	return codings
}

// isCharset reports whether it is the name of a charset, known to us or not.
func isCharset(name string) bool {
	if _, err := ianaindex.IANA.Encoding(name); err == nil {
		return true
	}
	_, err := htmlindex.Get(name)
	return err == nil
}
