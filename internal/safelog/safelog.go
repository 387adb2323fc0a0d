// Package safelog keeps a log safe: it bounds every text and removes credentials from it,
// whichever code logs the line and whatever an error quotes. A request without a token
// must not be able to fill the log, and readers of the log must not be able to act as a
// user.
package safelog

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// The bounds on texts that a client or a user chose, in bytes.
const (
	MaxName  = 128     // a name, host, origin, path or method
	MaxText  = 1 << 10 // any other text
	maxStack = 8 << 10 // the stack of a panic, which is ours
)

// MaxNames bounds lists of names: a line has all targets of a batch, and of a longer
// list how many more there are.
const MaxNames = 32

// Cut shortens a text, and says how long it was.
func Cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(s[:most], ""), len(s))
}

// Error returns the attribute of a failure's cause, which is logged by its text alone,
// whatever its own methods for logging say.
func Error(cause error) slog.Attr { return slog.Any("error", textOnlyError{cause}) }

type textOnlyError struct{ cause error }

// Error implements error.
func (e textOnlyError) Error() string { return e.cause.Error() }

// Unwrap returns the cause.
func (e textOnlyError) Unwrap() error { return e.cause }

// NewHandler returns a handler that makes every record safe for next.
func NewHandler(next slog.Handler) slog.Handler { return bounded{next} }

type bounded struct{ slog.Handler }

// Handle implements [slog.Handler].
func (h bounded) Handle(ctx context.Context, r slog.Record) error {
	var room [16]slog.Attr
	attrs := room[:0]
	message := redacted(Cut(r.Message, MaxText))
	same := message == r.Message
	r.Attrs(func(a slog.Attr) bool {
		a, unchanged := safe(a)
		attrs, same = append(attrs, a), same && unchanged
		return true
	})
	if same { // like most records
		return h.Handler.Handle(ctx, r)
	}
	short := slog.NewRecord(r.Time, r.Level, message, r.PC)
	short.AddAttrs(attrs...)
	return h.Handler.Handle(ctx, short)
}

// WithAttrs implements [slog.Handler].
func (h bounded) WithAttrs(attrs []slog.Attr) slog.Handler {
	attrs, _ = allSafe(attrs)
	return bounded{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements [slog.Handler].
func (h bounded) WithGroup(name string) slog.Handler { return bounded{h.Handler.WithGroup(name)} }

// namesInLog are the attributes whose values are names.
var namesInLog = map[string]bool{
	"host": true, "origin": true, "path": true, "http_method": true, "method": true, "tool": true, "resource": true, "prompt": true, "trace": true,
}

// safe returns the attribute with a safe value, and whether it is as it was. A value that is
// made when it is logged never is: it may be another the next time.
func safe(a slog.Attr) (_ slog.Attr, same bool) {
	most := MaxText
	switch {
	case namesInLog[a.Key]:
		most = MaxName
	case a.Key == "stack":
		most = maxStack
	}
	v := a.Value.Resolve()
	same = a.Value.Kind() == v.Kind()
	switch v.Kind() {
	case slog.KindString:
		text := redacted(Cut(v.String(), most))
		return slog.String(a.Key, text), same && text == v.String()
	case slog.KindGroup:
		group, unchanged := allSafe(v.Group())
		if !unchanged {
			v = slog.GroupValue(group...)
		}
		return slog.Attr{Key: a.Key, Value: v}, same && unchanged
	case slog.KindAny:
		return slog.Attr{Key: a.Key, Value: safeAny(v, most)}, false
	default: // numbers and times
		return slog.Attr{Key: a.Key, Value: v}, same
	}
}

// allSafe is safe for several. It returns a copy unless they are as they were.
func allSafe(attrs []slog.Attr) (_ []slog.Attr, same bool) {
	same = true
	for i := range attrs {
		a, unchanged := safe(attrs[i])
		if !unchanged && same {
			same, attrs = false, slices.Clone(attrs)
		}
		if !same {
			attrs[i] = a
		}
	}
	return attrs, same
}

// safeAny bounds values that handlers print in full.
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
