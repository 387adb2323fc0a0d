package blobtool

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
)

// allowList is the parsed [Options.Allow]: the allowed parts of each container. nil allows
// everything.
type allowList map[string][]root

// root stands for all blobs whose names begin with Prefix or, if Exact, only for the blob
// of that name.
type root struct {
	Prefix string `json:"p,omitempty"`
	Exact  bool   `json:"x,omitempty"`
}

// String returns the root as written in results and [Options.Allow].
func (r root) String() string {
	if r.Exact || r.Prefix == "" || strings.HasSuffix(r.Prefix, "/") {
		return r.Prefix
	}
	return r.Prefix + "*"
}

// has reports whether the root includes a blob or folder.
func (r root) has(name string) bool {
	if r.Exact {
		return strings.TrimSuffix(name, "/") == r.Prefix
	}
	return strings.HasPrefix(name, r.Prefix)
}

// covers reports whether the root includes all that other includes.
func (r root) covers(other root) bool {
	return r == other || !r.Exact && strings.HasPrefix(other.Prefix, r.Prefix)
}

// parseAllow parses the entries of a field, in a set for one container, or for an account if only
// is empty.
func parseAllow(field, only string, entries []string) (allowList, []error) {
	if len(entries) == 0 {
		return nil, nil
	}
	list := allowList{}
	var errs []error
	for i, entry := range entries {
		container, name, _ := strings.Cut(entry, "/")
		if err := checkAllowed(only, container, name); err != nil {
			errs = append(errs, configurationError(fmt.Sprintf("%s[%d]", field, i), err))
			continue
		}
		prefix, beginning := strings.CutSuffix(name, "*")
		if beginning || prefix == "" || strings.HasSuffix(prefix, "/") {
			list[container] = append(list[container], root{Prefix: prefix})
		} else { // a blob or a folder
			list[container] = append(list[container], root{Prefix: name, Exact: true}, root{Prefix: name + "/"})
		}
	}
	for _, roots := range list {
		slices.SortFunc(roots, func(a, b root) int { return strings.Compare(a.Prefix, b.Prefix) })
	}
	return list, errs
}

// checkAllowed returns why an entry is invalid.
func checkAllowed(only, container, name string) error {
	if err := names.CheckContainer(container); err != nil {
		return err
	}
	entry := quote(container + "/" + name)
	if only != "" && container != only {
		return fmt.Errorf("is for container %s; this set is for %s only", quote(container), quote(only))
	}
	prefix, beginning := strings.CutSuffix(name, "*")
	switch {
	case strings.Contains(prefix, "*"):
		return fmt.Errorf("%s has an asterisk before its end; an entry is a blob, a folder, or a prefix of names followed by one asterisk", entry)
	case strings.HasPrefix(name, "/") || strings.Contains(name, "//"):
		return fmt.Errorf("%s has an empty folder name (//); remove one slash", entry)
	case strings.TrimSpace(prefix) != prefix:
		return fmt.Errorf("%s has leading or trailing white space, which is unlikely in a blob's name; remove it", entry)
	case prefix == "":
		return nil
	case beginning:
		prefix += "x" // "." and ".." may begin a name
	}
	if wrong := errorOf(names.CheckBlob(prefix)); wrong != nil {
		return fmt.Errorf("%s: %s", entry, wrong.text)
	}
	return nil
}

// blob reports whether a blob is allowed or, if at has none, anything in the container.
func (a allowList) blob(at names.Location) bool {
	if a == nil {
		return true
	}
	roots, ok := a[at.Container]
	return ok && (at.Blob == "" || slices.ContainsFunc(roots, func(r root) bool { return r.has(at.Blob) }))
}

// below reports whether all blobs with that prefix are allowed.
func (a allowList) below(container, prefix string) bool {
	return a == nil || slices.ContainsFunc(a[container], func(r root) bool { return r.covers(root{Prefix: prefix}) })
}

// within returns the allowed parts below a prefix that is not allowed as a whole.
func (a allowList) within(container, prefix string) (roots []root) {
	for _, r := range a[container] {
		if strings.HasPrefix(r.Prefix, prefix) && !slices.ContainsFunc(roots, func(other root) bool { return other.covers(r) }) {
			roots = append(roots, r)
		}
	}
	return roots
}

const (
	shownAllowed = 10 // entries in an error
	shownRoots   = 20 // entries in a result
)

// shownOnly returns the roots for a result's field only.
func shownOnly(roots []root) []string {
	var only []string
	for _, r := range roots[:min(len(roots), shownRoots)] {
		only = append(only, r.String())
	}
	return only
}

// refuse returns the error for a location that is not allowed. It names what is.
func (a allowList) refuse(at names.Location) error { return a.outside(at, "what this server offers") }

// outside is refuse for a list of something else.
func (a allowList) outside(at names.Location, what string) error {
	var allowed []string
	for container, roots := range a {
		for _, r := range roots {
			if len(a[at.Container]) == 0 || container == at.Container {
				allowed = append(allowed, quote(names.Location{Container: container, Blob: r.String()}.String()))
			}
		}
	}
	slices.Sort(allowed)
	more := ""
	if len(allowed) > shownAllowed {
		allowed, more = allowed[:shownAllowed], " and more"
	}
	return failuref(ErrNotAllowed, "%s is outside %s: %s%s",
		quote(at.String()), what, strings.Join(allowed, ", "), more)
}

// containers returns the containers in which something is allowed.
func (a allowList) containers() []string { return slices.Sorted(maps.Keys(a)) }

// offer lists them for an error.
func (a allowList) offer() string {
	list, more := a.containers(), ""
	if len(list) > shownRoots {
		list, more = list[:shownRoots], " and more"
	}
	return fmt.Sprintf("This server offers the containers %s%s.", strings.Join(list, ", "), more)
}
