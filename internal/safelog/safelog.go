// Package safelog makes logs safe: it limits the length of every text and removes credentials,
// whichever code logs the line and whatever an error quotes. A request without a token must not be
// able to fill the log, and readers of the log must not be able to act as a user.
package safelog

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// Limits on texts that a client or a user chose, in bytes.
const (
	MaxName  = 128     // a name, host, origin, path or method
	MaxText  = 1 << 10 // any other text
	maxStack = 8 << 10 // a panic's stack, which is ours
)

// MaxNames limits lists of names. A line lists all targets of an ordinary batch, and counts the
// rest of a longer list.
const MaxNames = 32

// Cut shortens a text and appends its original length.
func Cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(s[:most], ""), len(s))
}

// Text shortens a text and removes credentials, as handlers of this package do. It is for texts that
// are changed before these get them.
func Text(s string, most int) string { return redacted(Cut(s, most)) }

// Error returns an attribute for the cause of a failure. It is logged by its text alone, even if
// it implements slog.LogValuer or the like.
func Error(cause error) slog.Attr { return slog.Any("error", textOnlyError{cause}) }

type textOnlyError struct{ cause error }

// Error implements error.
func (e textOnlyError) Error() string { return e.cause.Error() }

// Unwrap returns the cause.
func (e textOnlyError) Unwrap() error { return e.cause }

// NewHandler returns a handler that makes every record safe before next gets it.
func NewHandler(next slog.Handler) slog.Handler { return bounded{next} }

type bounded struct{ slog.Handler }

// Handle implements [slog.Handler].
func (h bounded) Handle(ctx context.Context, r slog.Record) error {
	message := redacted(Cut(r.Message, MaxText))
	same := message == r.Message
	if same {
		r.Attrs(func(a slog.Attr) bool {
			same = isSafe(a)
			return same
		})
	}
	if same { // true of most records
		return h.Handler.Handle(ctx, r)
	}
	short := slog.NewRecord(r.Time, r.Level, message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		short.AddAttrs(safe(a))
		return true
	})
	return h.Handler.Handle(ctx, short)
}

// WithAttrs implements [slog.Handler].
func (h bounded) WithAttrs(attrs []slog.Attr) slog.Handler {
	return bounded{h.Handler.WithAttrs(allSafe(attrs))}
}

// WithGroup implements [slog.Handler].
func (h bounded) WithGroup(name string) slog.Handler { return bounded{h.Handler.WithGroup(name)} }

// mostOf returns the maximum length of the attribute's text, in bytes.
func mostOf(key string) int {
	switch key {
	case "host", "origin", "path", "http_method", "method", "tool", "resource", "prompt", "trace_id", "span_id", "caller_trace_id": // names
		return MaxName
	case "stack":
		return maxStack
	}
	return MaxText
}

// isSafe reports whether the attribute can be logged as it is. A LogValuer never can: it may
// return a different value next time.
func isSafe(a slog.Attr) bool {
	switch a.Value.Kind() {
	case slog.KindString:
		text := a.Value.String()
		return len(text) <= mostOf(a.Key) && redacted(text) == text
	case slog.KindGroup:
		return !slices.ContainsFunc(a.Value.Group(), func(a slog.Attr) bool { return !isSafe(a) })
	case slog.KindAny, slog.KindLogValuer:
		return false
	default: // numbers and times
		return true
	}
}

// safe returns the attribute with a safe value.
func safe(a slog.Attr) slog.Attr {
	most := mostOf(a.Key)
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		v = slog.StringValue(redacted(Cut(v.String(), most)))
	case slog.KindGroup:
		v = slog.GroupValue(allSafe(v.Group())...)
	case slog.KindAny:
		v = safeAny(v, most)
	default: // numbers and times
	}
	return slog.Attr{Key: a.Key, Value: v}
}

// allSafe returns a copy of the attributes with safe values.
func allSafe(attrs []slog.Attr) []slog.Attr {
	attrs = slices.Clone(attrs)
	for i := range attrs {
		attrs[i] = safe(attrs[i])
	}
	return attrs
}

// safeAny shortens values that handlers print in full.
func safeAny(v slog.Value, most int) slog.Value {
	switch x := v.Any().(type) {
	case error:
		return slog.StringValue(errorText(x, most))
	case []string:
		short := make([]string, min(len(x), MaxNames))
		for i := range short {
			short[i] = redacted(Cut(x[i], MaxName))
		}
		if more := len(x) - len(short); more > 0 {
			short = append(short, fmt.Sprintf("… (%d more)", more))
		}
		return slog.AnyValue(short)
	case fmt.Stringer:
		return slog.StringValue(redacted(Cut(x.String(), most)))
	}
	return v
}
