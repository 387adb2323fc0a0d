package blobtool

import (
	"context"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// progressInterval is the least time between two notifications.
const progressInterval = 500 * time.Millisecond

// progress tells the caller how far a search has come, if the caller wants to know.
// nil tells nobody.
type progress struct {
	session *mcp.ServerSession
	token   any
	last    int
	sent    time.Time
}

func newProgress(req *mcp.CallToolRequest) *progress {
	if req == nil || req.Session == nil || req.Params == nil || req.Params.GetProgressToken() == nil {
		return nil
	}
	return &progress{session: req.Session, token: req.Params.GetProgressToken()}
}

// report sends how many blobs are done, which must have grown since the last time.
func (p *progress) report(ctx context.Context, blobs int, message func() string) {
	if p == nil || blobs <= p.last || time.Since(p.sent) < progressInterval {
		return
	}
	p.last, p.sent = blobs, time.Now()
	// A caller that can't be told is none the worse for it: the result comes anyway.
	_ = p.session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{
		ProgressToken: p.token, Progress: float64(blobs), Message: message(),
	})
}
