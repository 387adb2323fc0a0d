package blobtool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// location is a blob or, if blob is empty, a container.
type location struct {
	container string
	blob      string
}

// String returns the location as [Options.Allow] has it.
func (at location) String() string {
	if at.blob == "" {
		return at.container
	}
	return at.container + "/" + at.blob
}

// locate says which blob a call or a URI means, and whether this server offers it and
// its policies let the caller use it. container is the call's argument, which a set for one container does not have;
// blob may be empty, for the container alone. Names are taken as they are, byte
// by byte, so there is nothing that could mean another blob after this check.
func (s *Set) locate(ctx context.Context, container, blob string) (location, error) {
	at := location{container, blob}
	switch {
	case s.container == "":
		if err := checkContainer(container); err != nil {
			return at, failuref(ErrInvalidArgument, "container %v", err)
		}
	case container == "":
		at.container = s.container
	case container != s.container:
		return at, failuref(ErrNotAllowed, "container is %s, and this server offers container %s alone", quote(container), quote(s.container))
	}
	if blob != "" {
		if err := checkBlobName(blob); err != nil {
			return at, err
		}
	}
	if !s.allow.blob(at) {
		return at, s.allow.refuse(at)
	}
	if blob != "" {
		return at, closed(toolset.Resources(ctx), at, "")
	}
	return at, nil
}

// locateBlob is locate for what must be a blob.
func (s *Set) locateBlob(ctx context.Context, container, blob string) (location, error) {
	if err := checkBlobName(blob); err != nil {
		return location{}, err
	}
	return s.locate(ctx, container, blob)
}

// mayList is locate for a listing of the blobs whose names begin with prefix, which
// may be empty. All such names must be allowed. What policies close is taken out of
// the listing (shown).
func (s *Set) mayList(ctx context.Context, container, prefix string) (location, error) {
	at, err := s.locate(ctx, container, "")
	if err != nil {
		return at, err
	}
	at.blob = prefix
	if prefix != "" {
		if err := checkLength(prefix); err != nil {
			return at, err
		}
	}
	if prefix == "" && !s.allow.whole(at.container) || !s.allow.blob(at) {
		return at, s.allow.refuse(at)
	}
	return at, nil
}

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
	if err := checkContainer(container); err != nil {
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
	var fault *Error
	if errors.As(checkBlobName(prefix), &fault) {
		return fmt.Errorf("%s: %s", quote(container+"/"+prefix), fault.text)
	}
	return nil
}

// blob reports whether a blob is allowed or, if at names none, anything in the
// container.
func (a allowList) blob(at location) bool {
	if a == nil {
		return true
	}
	prefixes, ok := a[at.container]
	return ok && (at.blob == "" || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(at.blob, p) }))
}

// whole reports whether all of a container is allowed.
func (a allowList) whole(container string) bool {
	return a == nil || slices.Contains(a[container], "")
}

// shownAllowed is how many entries an error names.
const shownAllowed = 10

// refuse returns the error for what is not allowed, which says what is.
func (a allowList) refuse(at location) error {
	var allowed []string
	for container, prefixes := range a {
		for _, prefix := range prefixes {
			if len(a[at.container]) == 0 || container == at.container {
				allowed = append(allowed, quote(location{container, prefix}.String()))
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
