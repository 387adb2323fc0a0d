package blobtool

import (
	"context"

	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// A blob is a resource, and the server's policies for the resource hold for all tools
// that show the blob or its name. They are checked where names are checked: for one blob
// in locate, for a listing in narrow and shown.

// allBelow turns the URI of a prefix into the template of all names with that prefix.
const allBelow = "{+path}"

// closed returns why the policy does not let the caller use the blob or, with rest
// being [allBelow], any blob whose name has that prefix.
func closed(policy *toolset.ResourcePolicy, at location, rest string) error {
	if policy == nil {
		return nil
	}
	err := policy.Refuse(resourceURI(at) + rest)
	if err == nil {
		return nil
	}
	return &Error{Kind: ErrNotAllowed, text: "A policy of this server closes " + quote(at.String()) + " to the caller. " + err.Error(), cause: err}
}

// openRoots returns those prefixes below which something may be open to the caller, or
// why there are none.
func openRoots(ctx context.Context, container string, prefixes []string) (some []string, err error) {
	policy := toolset.Resources(ctx)
	if policy == nil {
		return prefixes, nil
	}
	for _, prefix := range prefixes {
		if fault := closed(policy, location{container, prefix}, allBelow); fault != nil {
			err = fault
			continue
		}
		some = append(some, prefix)
	}
	if len(some) > 0 {
		err = nil
	}
	return some, err
}

// policyWork is the work of asking about a byte of a URI, as worker.step has it.
const policyWork = 16

// shown returns the part of a listing's page that the caller may see. What it removes is
// not counted anywhere. A folder is closed if all that is in it is.
func (s *Set) shown(ctx context.Context, user, container string, page []entry) ([]entry, error) {
	policy := toolset.Resources(ctx)
	if policy == nil {
		return page, nil
	}
	w := parserOf(ctx) // a holder of a core must not wait for another
	if w == nil {
		w = s.worker(ctx, user)
		defer w.end()
	}
	if err := w.begin(); err != nil {
		return nil, err
	}
	some := page[:0]
	for _, e := range page {
		uri := resourceURI(location{container, e.name})
		if e.folder {
			uri += allBelow
		}
		if err := w.step(policyWork * int64(len(uri))); err != nil {
			return nil, err
		}
		if policy.Refuse(uri) == nil {
			some = append(some, e)
		}
	}
	return some, nil
}
