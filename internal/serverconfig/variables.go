package serverconfig

import (
	"fmt"
	"slices"
	"strings"
)

// variables reads variables from the environment, or else from the .env file, and collects faults.
type variables struct {
	lookup func(name string) (string, bool)
	file   map[string]dotenvValue
	faults []Fault
}

// newVariables takes os.LookupEnv, or a map in tests, and the content of the .env file.
func newVariables(lookup func(string) (string, bool), dotenv []byte) *variables {
	v := &variables{lookup: lookup}
	v.file, v.faults = parseDotenv(dotenv)
	return v
}

// raw returns the unchanged value. As in other dotenv readers, an empty environment variable
// overrides the file.
func (v *variables) raw(name string) string {
	if value, ok := v.lookup(name); ok {
		return value
	}
	return v.file[name].text
}

// text returns the value without surrounding white space.
func (v *variables) text(name string) string { return strings.TrimSpace(v.raw(name)) }

// textOr returns the value, or the default if it is empty.
func (v *variables) textOr(name, byDefault string) string {
	if s := v.text(name); s != "" {
		return s
	}
	return byDefault
}

// flag returns whether the variable is on, and whether it is set to anything.
func (v *variables) flag(name string) (on, set bool) {
	s := v.text(name)
	switch strings.ToLower(s) {
	case "true", "1", "yes", "on":
		return true, true
	case "false", "0", "no", "off":
		return false, true
	case "":
		return false, false
	}
	v.fault(name, fmt.Sprintf("%q is neither on (true, 1, yes, on) nor off (false, 0, no, off, empty)", Shorten(s)), "Set it to true or false")
	return false, true
}

// list returns the parts of a comma-separated value, without white space around them. It is empty
// if the value is; a part is empty only between commas, for its check to find.
func (v *variables) list(name string) []string {
	s := v.text(name)
	if s == "" {
		return nil
	}
	parts := strings.Split(s, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// place names the variable, and the line of the file if the value comes from there.
func (v *variables) place(name string) string {
	if _, ok := v.lookup(name); !ok {
		if value, ok := v.file[name]; ok {
			return fmt.Sprintf("%s (%s:%d)", name, DotenvFile, value.line)
		}
	}
	return name
}

// fault records a fault of the variable and the variable's source.
func (v *variables) fault(name, problem, remedy string) {
	v.add(v.place(name), problem, remedy)
}

// add records a fault of a place.
func (v *variables) add(where, problem, remedy string) {
	v.faults = append(v.faults, Fault{where, withoutSecrets(problem), remedy})
}

// check records the error, if any, as the variable's fault.
func (v *variables) check(name string, err error, remedy string) bool {
	if err != nil {
		v.fault(name, err.Error(), remedy)
	}
	return err == nil
}

// faulty reports whether the variable has a fault already.
func (v *variables) faulty(name string) bool {
	return slices.ContainsFunc(v.faults, func(f Fault) bool { return f.Where == v.place(name) })
}

// Shorten limits how much of an invalid value is shown.
func Shorten(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
