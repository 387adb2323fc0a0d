package bench

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// What a cell of the table of what is accepted may say, besides a number.
const (
	Accepted = "accepts"
	Refused  = "refuses"
	// Moot is a refusal by who refuses the plain v2 token too.
	Moot = "–"
)

// A shape is a token or a situation, and what is right there.
type shape struct {
	name string
	// right is what a verifier of an API for users should do. A number is how often
	// it should fetch keys at most.
	right string
	// try returns the cell and the error behind it. An empty cell means that the
	// trial itself failed.
	try func(ctx context.Context, b *Bed, c Contestant) (cell string, why error)
	// waits says that time must pass: all contestants are tried at once.
	waits bool
}

func shapes() []shape {
	hour := time.Hour
	return []shape{
		{name: "v2 access token", right: Accepted, try: judge(func(b *Bed) string { return b.Token(nil) })},
		{name: "v1 access token", right: Accepted, try: judge(func(b *Bed) string { return b.Tenant.Mint(b.API, 1, nil) })},
		{name: "app-only token", right: Refused, try: judge(appOnly)},
		{name: "ID token", right: Refused, try: judge(func(b *Bed) string { return b.Tenant.IDToken(b.User, b.API) })},
		{name: "scope missing", right: Refused, try: judge(changed(func(c map[string]any) { c["scp"] = "User.Read" }))},
		{name: "key of a foreign issuer", right: Refused, try: foreignKey},
		{name: "`tid` against `iss`", right: Refused, try: judge(changed(func(c map[string]any) { c["tid"] = "11111111-2222-3333-4444-555555555555" }))},
		{name: "no `exp`", right: Refused, try: judge(changed(func(c map[string]any) { delete(c, "exp") }))},
		{name: "`nbf` in an hour", right: Refused, try: judge(changed(func(c map[string]any) { c["nbf"] = time.Now().Add(hour).Unix() }))},
		{name: "key rotated just now", right: Accepted, try: rotated},
		{name: "200 unknown kids: key fetches", right: "1", try: unknownKeys},
		{name: "expired, seen before", right: Refused, try: expired, waits: true},
	}
}

// changed is [Bed.Token] with other claims.
func changed(change func(claims map[string]any)) func(*Bed) string {
	return func(b *Bed) string { return b.Token(func(_, claims map[string]any) { change(claims) }) }
}

// appOnly is a token that any application of the tenant can have for the
// asking, without a permission.
func appOnly(b *Bed) string {
	return b.Token(func(_, claims map[string]any) {
		maps.DeleteFunc(claims, func(name string, _ any) bool {
			return slices.Contains([]string{"scp", "name", "preferred_username", "email", "family_name", "given_name", "sid", "acct", "ctry"}, name)
		})
		claims["sub"] = claims["oid"]
		claims["azpacr"] = "1"
	})
}

// ready returns a verifier that has judged a plain v2 token, and so has its
// keys. An error is its verdict on that.
func ready(ctx context.Context, b *Bed, c Contestant) (Verify, error) {
	verify, err := c.New(ctx, b)
	if err != nil {
		return nil, err
	}
	return verify, verify(ctx, b.Token(nil))
}

func verdict(err error) string {
	if err != nil {
		return Refused
	}
	return Accepted
}

// judge tries a token on a verifier that is ready.
func judge(token func(*Bed) string) func(context.Context, *Bed, Contestant) (string, error) {
	return func(ctx context.Context, b *Bed, c Contestant) (string, error) {
		verify, plain := ready(ctx, b, c)
		if verify == nil {
			return "", plain
		}
		err := verify(ctx, token(b))
		if err != nil && plain != nil {
			return Moot, plain
		}
		return verdict(err), err
	}
}

func foreignKey(ctx context.Context, b *Bed, c Contestant) (string, error) {
	undo, err := b.publishForeignKey(ctx)
	if err != nil {
		return "", err
	}
	defer undo()
	token, err := b.foreignToken()
	if err != nil {
		return "", err
	}
	return judge(func(*Bed) string { return token })(ctx, b, c)
}

func rotated(ctx context.Context, b *Bed, c Contestant) (string, error) {
	return judge(func(b *Bed) string {
		b.Tenant.RotateKeys()
		return b.Token(nil)
	})(ctx, b, c)
}

func unknownKeys(ctx context.Context, b *Bed, c Contestant) (string, error) {
	verify, err := ready(ctx, b, c)
	if err != nil {
		return Moot, err
	}
	before := b.keyFetches()
	for i := range 200 {
		token := b.Token(func(header, _ map[string]any) { header["kid"] = "unknown-" + strconv.Itoa(i) })
		if err := verify(ctx, token); err == nil {
			return "", fmt.Errorf("a token with the kid of no key was accepted")
		}
	}
	return strconv.Itoa(b.keyFetches() - before), nil
}

// expired tries a token that the verifier has seen while it was valid. Those
// that take a clock are two minutes further by then, for their leeways.
func expired(ctx context.Context, b *Bed, c Contestant) (string, error) {
	verify, err := ready(ctx, b, c)
	if err != nil {
		return Moot, err
	}
	exp := time.Now().Add(3 * time.Second).Truncate(time.Second)
	token := changed(func(claims map[string]any) { claims["exp"] = exp.Unix() })(b)
	if err := verify(ctx, token); err != nil {
		return "", fmt.Errorf("a token about to expire was refused: %w", err)
	}
	time.Sleep(time.Until(exp) + time.Second)
	b.ahead.Store(int64(2 * time.Minute))
	err = verify(ctx, token)
	return verdict(err), err
}
