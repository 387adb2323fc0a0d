package entraauth

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// optionalClaims names what an API's registration must ask for, so that its tokens identify agents.
const optionalClaims = "xms_sub_fct, xms_act_fct, xms_par_app_azp and idtyp (include_user_token)"

// sampleSize is how many tokens are checked for the optional claims. Entra writes facets for
// every caller, so a few tokens without them show that the API doesn't ask for them.
const sampleSize = 5

// An agentWatch warns, once, if policies mention agents and the verifier's tokens don't
// identify them. What the first tokens have is noted in any case: the policy of a tool or
// an endpoint shows only when it is checked.
type agentWatch struct {
	log       *slog.Logger
	tokens    atomic.Int32  // at least sampleSize once the sample is whole
	has       atomic.Uint32 // of the sample, a bit for each of sampledClaims
	mentioned atomic.Bool   // by a policy
	warned    atomic.Bool
	unproven  atomic.Bool // whether it has warned of such a token
}

var sampledClaims = []struct {
	name string
	in   func(*claims) bool
}{
	{"xms_sub_fct", func(c *claims) bool { return c.subjectFacets.any }},
	{"xms_act_fct", func(c *claims) bool { return c.actorFacets.any }},
	{"idtyp", func(c *claims) bool { return c.kind != "" }},
}

// accepted notes what a verified token has.
func (w *agentWatch) accepted(c *claims) {
	if w.tokens.Load() >= sampleSize {
		return
	}
	for i, claim := range sampledClaims {
		if claim.in(c) {
			w.has.Or(1 << i)
		}
	}
	if w.tokens.Add(1) == sampleSize {
		w.warn()
	}
}

// mention notes that a policy mentions agents. Callers that no verifier returned have no
// watch.
func (w *agentWatch) mention() {
	if w != nil && !w.mentioned.Load() {
		w.mentioned.Store(true)
		w.warn()
	}
}

func (w *agentWatch) warn() {
	if !w.mentioned.Load() || w.tokens.Load() < sampleSize {
		return
	}
	var missing []string
	for i, claim := range sampledClaims {
		if w.has.Load()&(1<<i) == 0 {
			missing = append(missing, claim.name)
		}
	}
	if len(missing) == 0 || w.warned.Swap(true) {
		return
	}
	w.log.Warn("a policy mentions agents, but the tokens don't identify them: add the optional claims "+optionalClaims+
		" to the access tokens of the API's app registration (optionalClaims.accessToken)", slog.Any("missing", missing), slog.Int("tokens", sampleSize))
}

// isUnproven reports whether a user's token counts as that of a person through an agent,
// although nothing says what its subject is: an agent user's has 11 as actor too.
func (c *claims) isUnproven() bool {
	return !c.isApp() && c.actorFacets.agent && !c.subjectFacets.any
}

// warnUnproven warns at the first good token that has an agent as actor and nothing on its
// subject, whatever the policy: the API asks for xms_act_fct and not for xms_sub_fct.
func (w *agentWatch) warnUnproven(ctx context.Context, c *claims) {
	if !c.isUnproven() || w.unproven.Swap(true) {
		return
	}
	w.log.LogAttrs(ctx, slog.LevelWarn, "agent users can't be told from people, and pass for people who act through an agent: add the optional claims "+optionalClaims+
		" to the access tokens of the API's app registration (optionalClaims.accessToken)", slog.String("missing", "xms_sub_fct"), slog.String("agent", c.clientID()))
}
