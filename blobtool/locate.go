package blobtool

import (
	"context"
	"errors"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// locate returns the location of a blob, or an error if this server does not offer it or
// its policies close it to the caller. container is the call's argument, which is empty in
// a set for one container; an empty blob stands for the container. Names are used byte by
// byte, so that they can't mean another blob after this check.
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

// locateBlob is like locate, but requires a blob.
func (s *Set) locateBlob(ctx context.Context, container, blob string) (names.Location, error) {
	if err := names.CheckBlob(blob); err != nil {
		return names.Location{}, err
	}
	return s.locate(ctx, container, blob)
}

// mayList is like locate, for listing the blobs with a prefix, which may be empty. All of
// them must be allowed; those that policies close are removed from the listing (shown).
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

// named resolves a call's container and blob_path. Models also pass the URI of a result or
// the URL from the portal; in this account they identify the blob as its name does.
// Everything else is a name.
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

// locateNamed is like locateBlob, for the arguments of a call.
func (s *Set) locateNamed(ctx context.Context, containerArg, path string) (names.Location, error) {
	containerName, name, err := s.named(containerArg, path)
	if err != nil {
		return names.Location{}, err
	}
	return s.locateBlob(ctx, containerName, name)
}

// narrow returns the roots for listing what is allowed below a prefix: the prefix itself,
// or less. If policies close all of it to the caller, it returns why.
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

// The server's policies for a blob's resource apply to all tools that show the blob or its
// name. locate checks them for one blob, narrow and shown for a listing.
// allBelow turns the URI of a prefix into the template of all names with that prefix.
const allBelow = "{+path}"

// closed returns why the policy closes the blob to the caller or, if rest is [allBelow],
// all blobs with that prefix.
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

// openRoots returns the roots that policies do not close entirely to the caller, or why
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
