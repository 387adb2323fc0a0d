package blobtool

import (
	"context"

	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// A blob is a resource, and what the policies of the server demand for the resource
// holds for all tools that show the blob or tell its name. They are asked where names
// are checked: of one blob by locate, of a listing by narrow and shown.

// allBelow makes of the URI of a beginning of names the template of all that begin so.
const allBelow = "{+path}"

// closed returns why the policy does not let the caller use the blob or, with rest
// being [allBelow], any blob whose name begins so.
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

// openRoots returns those beginnings of names below which something may be open to the
// caller, or why there are none.
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

// shown returns what the caller, that user, may know of a page of a listing. What is
// taken out is not counted anywhere. A folder is closed if all that is in it is.
func (s *Set) shown(ctx context.Context, user, container string, page []entry) ([]entry, error) {
	policy := toolset.Resources(ctx)
	if policy == nil {
		return page, nil
	}
	w := parserOf(ctx) // who holds a core must not wait for another
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
