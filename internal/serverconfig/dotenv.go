package serverconfig

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"
)

const (
	// DotenvFile is read from the working directory.
	DotenvFile = ".env"
	// maxDotenv limits the file's size, in bytes.
	maxDotenv = 1 << 20
)

// A dotenvValue is the value of a variable in the .env file.
type dotenvValue struct {
	text string
	line int // line number, from 1
}

// ReadDotenv returns the content of the .env file, or nil if there is none.
func ReadDotenv(name string) ([]byte, []Fault) {
	content, err := readBounded(name)
	if err != nil {
		return nil, []Fault{{name, "can't be read: " + err.Error(), "Make it a readable text file, or remove it"}}
	}
	return content, nil
}

func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(io.LimitReader(f, maxDotenv+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxDotenv {
		return nil, fmt.Errorf("it is larger than %d bytes", maxDotenv)
	}
	return content, nil
}

// parseDotenv reads lines of the form NAME=value, as shells and other dotenv
// readers do:
//
//	# a comment                    and blank lines
//	NAME=value # a comment         the value ends before white space and #
//	export NAME=value
//	NAME='as it stands, # too'
//	NAME="with \" \\ \$ and \` escaped"
//
// Nothing is expanded, and no value goes on to the next line. Where a variable
// appears twice, the last one counts. A fault names its line and shows nothing of
// it: the line may hold a secret.
func parseDotenv(content []byte) (map[string]dotenvValue, []Fault) {
	values := map[string]dotenvValue{}
	var faults []Fault
	number := 0
	for line := range bytes.Lines(bytes.TrimPrefix(content, []byte("\uFEFF"))) { // Windows editors write a byte order mark
		number++
		name, value, err := parseDotenvLine(strings.TrimSpace(string(line)))
		switch {
		case err != nil:
			faults = append(faults, Fault{
				Where:   fmt.Sprintf("%s:%d", DotenvFile, number),
				Problem: "the line " + err.Error(),
				Remedy:  "Write it as NAME=value, with quotes around values that have spaces or #",
			})
		case name != "":
			values[name] = dotenvValue{value, number}
		}
	}
	return values, faults
}

// parseDotenvLine parses one trimmed line. The name is empty if the line sets nothing.
func parseDotenvLine(line string) (name, value string, err error) {
	switch {
	case line == "" || line[0] == '#':
		return "", "", nil
	case !utf8.ValidString(line) || strings.ContainsFunc(line, isControl):
		return "", "", errors.New("has control characters or is not UTF-8")
	}
	if rest, ok := strings.CutPrefix(line, "export"); ok && rest != "" && isBlank(rest[0]) {
		line = rest
	}
	name, rest, ok := strings.Cut(line, "=")
	name = strings.Trim(name, " \t")
	switch {
	case !ok:
		return "", "", errors.New("has no equals sign")
	case !isVariableName(name):
		return "", "", errors.New("has no variable name before the equals sign")
	}
	value, err = parseDotenvValue(rest)
	if err != nil {
		return "", "", err
	}
	return name, value, nil
}

// parseDotenvValue reads what follows the equals sign.
func parseDotenvValue(s string) (string, error) {
	quoted := strings.TrimLeft(s, " \t")
	if quoted == "" || (quoted[0] != '"' && quoted[0] != '\'') {
		return strings.TrimSpace(cutComment(s)), nil
	}
	value, tail, ok := unquote(quoted)
	if !ok {
		return "", errors.New("has a quote that is not closed")
	}
	if tail = strings.TrimLeft(tail, " \t"); tail != "" && tail[0] != '#' {
		return "", errors.New("has text after the closing quote")
	}
	return value, nil
}

// cutComment drops a # after white space and all that follows; one inside a word
// belongs to the value.
func cutComment(s string) string {
	for i := 1; i < len(s); i++ {
		if s[i] == '#' && isBlank(s[i-1]) {
			return s[:i]
		}
	}
	return s
}

// unquote returns the text between the quote at the beginning of s and the next one, and what
// follows. In double quotes, a backslash escapes the same characters as in a shell; otherwise it
// is literal.
func unquote(s string) (value, tail string, ok bool) {
	quote := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == quote:
			return b.String(), s[i+1:], true
		case s[i] == '\\' && quote == '"' && i+1 < len(s) && strings.IndexByte("\"\\$`", s[i+1]) >= 0:
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func isControl(r rune) bool { return (r < ' ' && r != '\t') || r == 0x7f }

func isVariableName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
