package setup

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// A bicep writes values as Bicep expressions. Placeholders such as ${api.appId} become references.
type bicep struct {
	refs map[string]string // expression by placeholder
	// around has text to write before and after the value of a property, by its path: api.scopes.
	around map[string][2]string
}

// object returns v, as its JSON, as an object. Its lines after the first are indented by depth steps.
func (b *bicep) object(v any, depth int) (string, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	d := json.NewDecoder(bytes.NewReader(data)) // its tokens keep the order of members
	d.UseNumber()
	return b.value(d, "", depth)
}

func (b *bicep) value(d *json.Decoder, path string, depth int) (string, error) {
	token, err := d.Token()
	if err != nil {
		return "", err
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '[' {
			return b.collection(d, path, depth, "[", "]")
		}
		return b.collection(d, path, depth, "{", "}")
	case string:
		return b.text(token)
	case nil:
		return "null", nil
	default:
		return fmt.Sprint(token), nil // true, false, a number
	}
}

// collection writes an array or object, whose begin was read, one item a line.
func (b *bicep) collection(d *json.Decoder, path string, depth int, begin, end string) (string, error) {
	var out strings.Builder
	indent := strings.Repeat("  ", depth)
	for d.More() {
		out.WriteString("\n" + indent + "  ")
		item := path
		if begin == "{" {
			name, err := d.Token()
			if err != nil {
				return "", err
			}
			item = strings.TrimPrefix(path+"."+fmt.Sprint(name), ".")
			fmt.Fprintf(&out, "%s: ", name)
		}
		value, err := b.value(d, item, depth+1)
		if err != nil {
			return "", err
		}
		if around, ok := b.around[item]; ok && begin == "{" {
			value = around[0] + value + around[1]
		}
		out.WriteString(value)
	}
	if _, err := d.Token(); err != nil {
		return "", err
	}
	if out.Len() == 0 {
		return begin + end, nil
	}
	return begin + out.String() + "\n" + indent + end, nil
}

// text returns a string, with references where it has placeholders.
func (b *bicep) text(s string) (string, error) {
	var out strings.Builder
	last := 0
	for _, at := range placeholders.FindAllStringIndex(s, -1) {
		ref, ok := b.refs[s[at[0]+2:at[1]-1]]
		switch {
		case !ok:
			return "", fmt.Errorf("nothing in the file has %s", s[at[0]:at[1]])
		case at[0] == 0 && at[1] == len(s):
			return ref, nil
		}
		out.WriteString(escapeBicep(s[last:at[0]]) + "${" + ref + "}")
		last = at[1]
	}
	return "'" + out.String() + escapeBicep(s[last:]) + "'", nil
}

// escapeBicep returns the inside of a string literal.
func escapeBicep(s string) string {
	var out strings.Builder
	for i, r := range s {
		switch {
		case r == '\\' || r == '\'':
			out.WriteString(`\` + string(r))
		case r == '$' && strings.HasPrefix(s[i:], "${"):
			out.WriteString(`\$`)
		case r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029:
			fmt.Fprintf(&out, `\u{%x}`, r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}
