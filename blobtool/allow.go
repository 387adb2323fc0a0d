package blobtool

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
)

// shownRoots is how many prefixes a result names.
const shownRoots = 20

// allowList is what [Options.Allow] names: containers, each with the beginnings of
// its blobs' names. nil allows all.
type allowList map[string][]string

// parseAllow reads the entries of a set for that container, or for an account if
// it is empty.
func parseAllow(only string, entries []string) (allowList, []error) {
	if len(entries) == 0 {
		return nil, nil
	}
	list := allowList{}
	var errs []error
	for i, entry := range entries {
		container, prefix, _ := strings.Cut(entry, "/")
		if err := checkAllowed(only, container, prefix); err != nil {
			errs = append(errs, configurationError(fmt.Sprintf("Options.Allow[%d]", i), err))
			continue
		}
		list[container] = append(list[container], prefix)
	}
	return list, errs
}

func checkAllowed(only, container, prefix string) error {
	if err := names.CheckContainer(container); err != nil {
		return err
	}
	if only != "" && container != only {
		return fmt.Errorf("is for container %s; this set is for %s alone", quote(container), quote(only))
	}
	if prefix == "" {
		return nil
	}
	if i := strings.IndexByte(prefix, '*'); i >= 0 {
		return fmt.Errorf("%s has a star; an entry is a prefix of names: write %s", quote(container+"/"+prefix), quote(container+"/"+prefix[:i]))
	}
	if strings.TrimSpace(prefix) != prefix {
		return fmt.Errorf("%s has white space at its end, which is unlikely in a blob's name; remove it", quote(container+"/"+prefix))
	}
	if wrong := errorOf(names.CheckBlob(prefix)); wrong != nil {
		return fmt.Errorf("%s: %s", quote(container+"/"+prefix), wrong.text)
	}
	return nil
}

// blob reports whether a blob is allowed or, if at names none, anything in the
// container.
func (a allowList) blob(at names.Location) bool {
	if a == nil {
		return true
	}
	prefixes, ok := a[at.Container]
	return ok && (at.Blob == "" || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(at.Blob, p) }))
}

// whole reports whether all of a container is allowed.
func (a allowList) whole(container string) bool {
	return a == nil || slices.Contains(a[container], "")
}

// shownAllowed is how many entries an error names.
const shownAllowed = 10

// refuse returns the error for what is not allowed, which says what is.
func (a allowList) refuse(at names.Location) error {
	var allowed []string
	for container, prefixes := range a {
		for _, prefix := range prefixes {
			if len(a[at.Container]) == 0 || container == at.Container {
				allowed = append(allowed, quote(names.Location{Container: container, Blob: prefix}.String()))
			}
		}
	}
	slices.Sort(allowed)
	more := ""
	if len(allowed) > shownAllowed {
		allowed, more = allowed[:shownAllowed], " and more"
	}
	return failuref(ErrNotAllowed, "%s is outside of what this server offers, which is what begins with %s%s",
		quote(at.String()), strings.Join(allowed, ", "), more)
}

// containers returns the names of the containers in which something is allowed.
func (a allowList) containers() []string { return slices.Sorted(maps.Keys(a)) }

// offer says which those are.
func (a allowList) offer() string {
	list, more := a.containers(), ""
	if len(list) > shownRoots {
		list, more = list[:shownRoots], " and more"
	}
	return fmt.Sprintf("This server offers the containers %s%s.", strings.Join(list, ", "), more)
}
