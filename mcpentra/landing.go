package mcpentra

import (
	"context"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/internal/safelog"
)

// consentPath is where Entra sends the browser after a consent: the redirect URI
// to register with the app, and to give to the exchanger as Options.RedirectURL.
const consentPath = "/consent/done"

// The page is deliberately generic: its visitor is unauthenticated. The next call learns
// the outcome.
const (
	donePage = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%title%</title>
<style>
body { font: 18px/1.5 system-ui, sans-serif; margin: 15vh auto 0; max-width: 26em; padding: 0 1.5em; color: #1b1b1b; background: #fff }
h1 { font-size: 1.5em; font-weight: 600; margin: 0 0 .4em }
@media (prefers-color-scheme: dark) { body { color: #eee; background: #1b1b1b } }
</style>
</head>
<body>
<h1>%title%</h1>
<p>%text%</p>
</body>
</html>
`
	doneTitle    = "Done"
	doneText     = "You can close this window and go back to where you came from. If the assistant does not go on by itself, ask it to try again."
	refusedTitle = "Nothing was changed"
	refusedText  = "The consent was not given. You can close this window. If your organization wants an administrator to decide, ask yours; then try again."
)

// landing is where a consent ends. The authorization code in the query is of use
// to nobody without the app's proof, and is thrown away: the browser is sent on to
// the page without it, so that it stays in no history.
func (c *consent) landing(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	if q := r.URL.Query(); q.Has("code") || q.Has("state") || q.Has("error") || q.Has("admin_consent") {
		if !q.Has("error") {
			c.given("")
		}
		if session := c.waiting.take(q.Get("state")); session != nil && !q.Has("error") {
			c.tell(r.Context(), session, q.Get("state"))
		}
		// Relative: what stands before this path, a gateway or http.StripPrefix may
		// have taken off.
		to := path.Base(consentPath)
		if q.Has("error") {
			to += "?refused"
		}
		h.Set("Location", to)
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	title, text := doneTitle, doneText
	if r.URL.Query().Has("refused") {
		title, text = refusedTitle, refusedText
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = strings.NewReplacer("%title%", title, "%text%", text).WriteString(w, donePage)
}

// tell notifies the session's client that its user is back from the page.
func (c *consent) tell(ctx context.Context, session *mcp.ServerSession, elicitation string) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := session.NotifyElicitationComplete(ctx, &mcp.ElicitationCompleteParams{ElicitationID: elicitation}); err != nil {
		c.log.InfoContext(ctx, "a client was not told of a consent", "cause", safelog.Cut(err.Error(), safelog.MaxText))
	}
}
