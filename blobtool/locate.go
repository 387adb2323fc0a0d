package blobtool

import (
	"context"
	"errors"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// locate returns which blob a call or a URI means, or an error if this server does not
// offer it or its policies close it to the caller. container is the call's argument,
// which a set for one container does not have; blob may be empty, for the container
// alone. Names are taken as they are, byte by byte, so nothing can mean another blob
// after this check.
func (s *Set) locate(ctx context.Context, container, blob string) (names.Location, error) {
	at := names.Location{Container: container, Blob: blob}
	switch {
	case s.container == "":
		if err := names.CheckContainer(container); err != nil {
			return at, failuref(ErrInvalidArgument, "container %v", err)
		}
	case container == "":
		at.Container = s.container
	case container != s.container:
		return at, failuref(ErrNotAllowed, "container is %s, but this server offers only container %s", quote(container), quote(s.container))
	}
	if blob != "" {
		if err := names.CheckBlob(blob); err != nil {
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
func (s *Set) locateBlob(ctx context.Context, container, blob string) (names.Location, error) {
	if err := names.CheckBlob(blob); err != nil {
		return names.Location{}, err
	}
	return s.locate(ctx, container, blob)
}

// mayList is locate for a listing of the blobs whose names begin with prefix, which
// may be empty. All such names must be allowed. What policies close is taken out of
// the listing (shown).
func (s *Set) mayList(ctx context.Context, container, prefix string) (names.Location, error) {
	at, err := s.locate(ctx, container, "")
	if err != nil {
		return at, err
	}
	at.Blob = prefix
	if prefix != "" {
		if err := names.CheckLength(prefix); err != nil {
			return at, err
		}
	}
	if !s.allow.below(at.Container, prefix) {
		return at, s.allow.refuse(at)
	}
	return at, nil
}

// named returns which blob a call's container and blob_path name. Models hand back the
// URI of a result, or a blob's URL as the portal shows it: where it is of this account,
// it names the blob as plainly as its name does. Everything else is a name as it stands.
func (s *Set) named(containerArg, path string) (containerName, blob string, err error) {
	at, isURL, err := names.Reference(s.serviceURL, path)
	switch {
	case err != nil:
		return "", "", err
	case !isURL:
		return containerArg, path, nil
	case at.Blob == "":
		return "", "", failuref(ErrInvalidPath, "blob_path is the URL of container %s; use the name of a blob in it", quote(at.Container))
	case containerArg != "" && at.Container != containerArg:
		return "", "", failuref(ErrInvalidArgument, "blob_path is a URL in container %s, but container is %s; use the blob's name, or the same container", quote(at.Container), quote(containerArg))
	case s.container != "" && at.Container != s.container:
		return "", "", failuref(ErrNotAllowed, "blob_path is a URL in container %s, but this server offers only container %s", quote(at.Container), quote(s.container))
	}
	if s.container != "" {
		at.Container = ""
	}
	return at.Container, at.Blob, nil
}

// locateNamed is locateBlob for the arguments of a call.
func (s *Set) locateNamed(ctx context.Context, containerArg, path string) (names.Location, error) {
	containerName, name, err := s.named(containerArg, path)
	if err != nil {
		return names.Location{}, err
	}
	return s.locateBlob(ctx, containerName, name)
}

// narrow returns where to begin to list all that is allowed of what begins with prefix,
// and nothing else: with the prefix itself or, where less is allowed, with that. If
// policies close all of it to the caller, it returns why.
func (s *Set) narrow(ctx context.Context, containerArg, prefix string) (containerName string, roots []root, err error) {
	at, err := s.mayList(ctx, containerArg, prefix)
	roots = []root{{Prefix: prefix}}
	if errors.Is(err, ErrNotAllowed) {
		if roots = s.allow.within(at.Container, prefix); len(roots) > 0 {
			err = nil
		}
	}
	if err != nil {
		return "", nil, err
	}
	roots, err = openRoots(ctx, at.Container, roots)
	return at.Container, roots, err
}

// A blob is a resource, and the server's policies for the resource hold for all tools
// that show the blob or its name. They are checked where names are checked: for one blob
// in locate, for a listing in narrow and shown.

// allBelow turns the URI of a prefix into the template of all names with that prefix.
const allBelow = "{+path}"

// closed returns why the policy does not let the caller use the blob or, with rest
// being [allBelow], any blob whose name has that prefix.
func closed(policy *toolset.ResourcePolicy, at names.Location, rest string) error {
	if policy == nil {
		return nil
	}
	err := policy.Refuse(at.URI() + rest)
	if err == nil {
		return nil
	}
	return &Error{Kind: ErrNotAllowed, text: "A policy of this server closes " + quote(at.String()) + " to the caller. " + err.Error(), cause: err}
}

// openRoots returns those roots of which something may be open to the caller, or why
// there are none.
func openRoots(ctx context.Context, container string, roots []root) (some []root, err error) {
	policy := toolset.Resources(ctx)
	if policy == nil {
		return roots, nil
	}
	for _, r := range roots {
		rest := allBelow
		if r.Exact {
			rest = ""
		}
		if why := closed(policy, names.Location{Container: container, Blob: r.Prefix}, rest); why != nil {
			err = why
			continue
		}
		some = append(some, r)
	}
	if len(some) > 0 {
		err = nil
	}
	return some, err
}
