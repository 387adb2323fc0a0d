package mcpentra

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// The bounds on texts in a log line that a client or a user chose, in bytes.
const (
	maxLoggedName  = 128     // a name, host, origin, path or method
	maxLoggedCause = 1 << 10 // any other text
	maxLoggedStack = 8 << 10 // the stack of a panic, which is ours
)

// cut shortens a text for the log, and says how long it was.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(s[:most], ""), len(s))
}

// bounded is the handler behind all that this server logs. It shortens every text and
// removes credentials from it, whichever code logs the line and whatever an error quotes:
// one request without a token must not be able to fill the log, and readers of the log
// must not be able to act as a user.
type bounded struct{ slog.Handler }

// Handle implements [slog.Handler].
func (h bounded) Handle(ctx context.Context, r slog.Record) error {
	short := slog.NewRecord(r.Time, r.Level, redacted(cut(r.Message, maxLoggedCause)), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		short.AddAttrs(shortened(a))
		return true
	})
	return h.Handler.Handle(ctx, short)
}

// WithAttrs implements [slog.Handler].
func (h bounded) WithAttrs(attrs []slog.Attr) slog.Handler {
	short := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		short[i] = shortened(a)
	}
	return bounded{h.Handler.WithAttrs(short)}
}

// WithGroup implements [slog.Handler].
func (h bounded) WithGroup(name string) slog.Handler { return bounded{h.Handler.WithGroup(name)} }

// namesInLog are the attributes whose values are names.
var namesInLog = map[string]bool{
	"host": true, "origin": true, "path": true, "http_method": true, "method": true, "tool": true, "resource": true, "prompt": true, "trace": true,
}

func shortened(a slog.Attr) slog.Attr {
	most := maxLoggedCause
	switch {
	case namesInLog[a.Key]:
		most = maxLoggedName
	case a.Key == "stack":
		most = maxLoggedStack
	}
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		return slog.String(a.Key, redacted(cut(v.String(), most)))
	case slog.KindGroup:
		group := v.Group()
		short := make([]slog.Attr, len(group))
		for i, member := range group {
			short[i] = shortened(member)
		}
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(short...)}
	case slog.KindAny:
		return slog.Attr{Key: a.Key, Value: shortenedAny(v, most)}
	}
	return slog.Attr{Key: a.Key, Value: v}
}

// shortenedAny bounds values that a handler would print in full.
func shortenedAny(v slog.Value, most int) slog.Value {
	switch x := v.Any().(type) {
	case error:
		return slog.StringValue(errorText(x, most))
	case []string:
		short := make([]string, min(len(x), maxLoggedTargets))
		for i := range short {
			short[i] = redacted(cut(x[i], maxLoggedName))
		}
		if more := len(x) - len(short); more > 0 {
			short = append(short, fmt.Sprintf("… (%d more)", more))
		}
		return slog.AnyValue(short)
	case fmt.Stringer:
		return slog.StringValue(redacted(cut(x.String(), most)))
	}
	return v
}
