package blobtool

import (
	"context"
	"errors"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

type subscriberKey struct{}

// configure sets the SDK's handlers, which get what is not a blob of this set passed on.
func (p *subscriptions) configure(o *mcp.ServerOptions) {
	subscribe, unsubscribe := o.SubscribeHandler, o.UnsubscribeHandler
	o.SubscribeHandler = func(ctx context.Context, req *mcp.SubscribeRequest) error {
		switch {
		case p.owns(req.Params.URI):
			if err := p.subscribe(ctx, req.Params.URI); err != nil {
				return p.set.resourceFailed(ctx, "blob could not be subscribed to", err)
			}
			return nil
		case subscribe != nil:
			return subscribe(ctx, req)
		}
		return mcp.ResourceNotFoundError(req.Params.URI)
	}
	o.UnsubscribeHandler = func(ctx context.Context, req *mcp.UnsubscribeRequest) error {
		if p.owns(req.Params.URI) {
			p.unsubscribe(req.Session, req.Params.URI)
			return nil
		}
		if unsubscribe != nil {
			return unsubscribe(ctx, req)
		}
		return nil
	}
}

// owns reports whether the URI is that of a blob of the set.
func (p *subscriptions) owns(uri string) bool { return p.set.ToolForResource(uri) != "" }

// register adds the middleware that knows whose message subscribes, and keeps updates for one
// user's sessions from all others.
func (p *subscriptions) register(srv *mcp.Server) {
	srv.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			session, ok := req.GetSession().(*mcp.ServerSession)
			if !ok {
				return next(ctx, method, req)
			}
			from := &subscriber{server: srv, session: session, user: userOf(req.GetExtra())}
			if from.user != "" {
				from.expires = req.GetExtra().TokenInfo.Expiration
			}
			switch req.GetParams().(type) {
			case *mcp.SubscribeParams:
				return next(context.WithValue(ctx, subscriberKey{}, from), method, req)
			case *mcp.SubscriptionsListenParams:
				return p.listen(ctx, from, func(ctx context.Context) (mcp.Result, error) { return next(ctx, method, req) })
			}
			p.renew(ctx, from)
			return next(ctx, method, req)
		}
	})
	srv.AddSendingMiddleware(p.deliver)
}

type deliveredKey struct{}

// deliver is sending middleware. An update reaches only those that it is for. One that the program
// sends itself, which is for all subscribers, reaches nobody: it could tell users of a change that
// their rights do not show.
func (p *subscriptions) deliver(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		session, _ := req.GetSession().(*mcp.ServerSession)
		switch params := req.GetParams().(type) {
		case *mcp.SubscriptionsAcknowledgedParams:
			defer p.acked(session)
		case *mcp.ResourceUpdatedNotificationParams:
			to, addressed := toolset.AddressOf(params)
			switch {
			case addressed && to.Reaches(session):
				ctx = context.WithValue(ctx, deliveredKey{}, true) // for the middleware of other sets
				req = &mcp.ServerRequest[*mcp.ResourceUpdatedNotificationParams]{Session: session, Params: to.Unaddressed(params)}
			case addressed, ctx.Value(deliveredKey{}) == nil && p.owns(params.URI):
				return nil, nil
			}
		}
		return next(ctx, method, req)
	}
}

// listen runs a stream, which fails when a right to one of its blobs ends.
func (p *subscriptions) listen(ctx context.Context, from *subscriber, run func(context.Context) (mcp.Result, error)) (mcp.Result, error) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	from.listen = &listen{end: end}
	res, err := run(context.WithValue(ctx, subscriberKey{}, from))
	if why, ended := errors.AsType[*endedError](context.Cause(ctx)); ended {
		return nil, p.set.resourceFailed(ctx, "a subscription to a blob ended", why.cause)
	}
	return res, err
}

// subscribe adds a subscription, if the caller may read the blob now.
func (p *subscriptions) subscribe(ctx context.Context, uri string) error {
	from, _ := ctx.Value(subscriberKey{}).(*subscriber)
	if from == nil || from.user == "" {
		return failuref(ErrNoUser, "Subscriptions need a signed-in user: blobs are watched with a user's permissions. Read the resource instead, or sign in.")
	}
	uri = strings.Clone(uri) // it may keep the request's body
	at, err := names.ParseURI(uri)
	if err == nil {
		at, err = p.set.locateBlob(ctx, at.Container, at.Blob)
	}
	if err != nil {
		return err
	}
	if err := p.reserve(from, uri); err != nil {
		return err
	}
	x := &subscription{subscriber: from, uri: uri, at: at}
	if err := p.begin(ctx, x); err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.release(from.user)
		return err
	}
	p.add(x) //nolint:contextcheck // the watch outlives the message
	return nil
}

// begin asks for the ETag that the client knows, or will when it reads the blob.
func (p *subscriptions) begin(ctx context.Context, x *subscription) (err error) {
	ctx, cancel := context.WithTimeout(ctx, p.set.timeout)
	defer cancel()
	if x.client, err = p.set.blobClient(ctx, x.at, ""); err != nil {
		return err
	}
	now, err := p.set.look(ctx, x.at, x.client)
	switch {
	case err != nil:
		return err
	case !now.exists:
		return failuref(ErrNotFound, "%s A blob must exist to be subscribed to.", noBlob(x.at))
	case now.directory:
		return failuref(ErrDirectory, "%s is a directory; subscribe to a blob in it.", quote(x.at.Blob))
	}
	x.told = now.etag
	return nil
}

// add begins to watch for a subscription.
func (p *subscriptions) add(x *subscription) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.sessions[x.session]
	if all == nil {
		all = &subscribed{uris: map[string]*subscription{}}
		p.sessions[x.session] = all
	}
	if old := all.uris[x.uri]; old != nil {
		p.unwatch(old)
	}
	all.uris[x.uri] = x
	p.begun++
	x.number = p.begun
	p.watch(x)
	if x.listen == nil && !all.waits { // the SDK does not tell that a session with subscriptions ends
		all.waits = true
		go func() {
			_ = x.session.Wait()
			p.sessionEnded(x.session)
		}()
	}
	p.makeRoom()
}

// unsubscribe ends a subscription, if it is there.
func (p *subscriptions) unsubscribe(session *mcp.ServerSession, uri string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if all := p.sessions[session]; all != nil && all.uris[uri] != nil {
		p.remove(all.uris[uri])
	}
}

func (p *subscriptions) sessionEnded(session *mcp.ServerSession) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.sessions[session]
	all.waits = false
	for _, x := range all.uris {
		p.remove(x)
	}
	delete(p.sessions, session)
}

// acked notes that the client of a stream knows that it has begun: an update must not come first.
func (p *subscriptions) acked(session *mcp.ServerSession) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if all := p.sessions[session]; all != nil {
		for _, x := range all.uris {
			if x.listen != nil {
				x.listen.acked = true
			}
		}
	}
}

// renew makes the session's subscriptions use the credential of its newest token. A token is good
// for an hour or so, and a session goes on.
func (p *subscriptions) renew(ctx context.Context, from *subscriber) {
	clients := map[string]*container.Client{}
	for _, x := range p.stale(from) {
		in := clients[x.at.Container]
		if in == nil {
			var err error
			if in, err = p.set.containerClient(ctx, x.at.Container); err != nil {
				return // the session's next message may do better
			}
			clients[x.at.Container] = in
		}
		p.mu.Lock()
		x.client, x.expires, x.paused, x.failures = in.NewBlobClient(x.at.Blob), from.expires, false, 0
		x.watch.wakeUp()
		p.mu.Unlock()
	}
}

// stale returns the session's subscriptions that were made with a token that ends before this one.
func (p *subscriptions) stale(from *subscriber) (stale []*subscription) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if all := p.sessions[from.session]; all != nil {
		for _, x := range all.uris {
			if x.listen == nil && x.user == from.user && from.expires.After(x.expires) && !x.expires.IsZero() {
				stale = append(stale, x)
			}
		}
	}
	return stale
}
