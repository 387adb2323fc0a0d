package mcpentra

import (
	"errors"
	"fmt"
	"time"
)

// Limits bounds what one user and one client may use of the server. A zero
// field means its default. The defaults are far above what people and agents
// need.
type Limits struct {
	// RequestsPerSecond is how many requests of a user are served a second in the
	// long run; beyond it they are refused with 429 and Retry-After. Defaults to 100.
	RequestsPerSecond float64
	// Burst is how many requests of a user are served at once after a pause.
	// Defaults to 200.
	Burst int
	// Concurrent is how many calls of a user may be under way at a time, open
	// streams included; beyond it they are refused with 429 and Retry-After.
	// Defaults to 64. Each call of a JSON-RPC batch (at most 32 messages, protocol
	// 2025-03-26) counts here, and each message in RequestsPerSecond. With sessions a
	// call counts until it has ended, even if its client hung up. Notifications, answers and the
	// DELETE of a session do not count here, so that a user can always cancel; there
	// may be as many of them at a time.
	Concurrent int
	// Sessions is how many sessions a user may have, with [WithSessions]; the oldest
	// ends when there is one more. Defaults to 32.
	Sessions int
	// AllSessions is how many sessions all users together may have; beyond it the
	// oldest session of the user with the most ends to make room for a user with fewer;
	// if there is no such user, a new session is refused with 503 and Retry-After. Defaults to 4,096.
	AllSessions int
	// BodyBytes is the size of a request's body; what is larger is refused with
	// 413. Defaults to 4 MiB. The bodies of a user's requests under way may have 32
	// MiB together, or twice this; those of all users 256 MiB, or 16 times this.
	BodyBytes int64
	// BodyTimeout is how long a request's body may take to arrive; what takes
	// longer is refused with 408. Defaults to 30 seconds.
	BodyTimeout time.Duration
	// WriteTimeout is how long a client may take to read each piece of an answer;
	// a slower client loses the connection. It bounds neither calls nor streams.
	// Defaults to 30 seconds.
	WriteTimeout time.Duration
	// DrainTimeout is how long [Server.Serve] lets calls under way go on after its
	// context has ended. Defaults to 25 seconds: Kubernetes and Azure Container
	// Apps kill a process 30 seconds after they told it to stop.
	DrainTimeout time.Duration
}

// The largest values of a limit: for a count or a size, and for a time-out.
const (
	maxLimit   = 1 << 30
	maxTimeout = 24 * time.Hour
)

// WithLimits changes the limits. A user is identified by tenant and object id.
// Requests without a good token count for no user, and cost little: refusing one takes
// microseconds, and no more than 64 KiB and 5 seconds of its body are read.
func WithLimits(l Limits) Option {
	return func(c *config) error {
		var faults []error
		for _, field := range []struct {
			name        string
			value, most float64
		}{
			{"RequestsPerSecond", l.RequestsPerSecond, maxLimit},
			{"Burst", float64(l.Burst), maxLimit},
			{"Concurrent", float64(l.Concurrent), maxLimit},
			{"Sessions", float64(l.Sessions), maxLimit},
			{"AllSessions", float64(l.AllSessions), maxLimit},
			{"BodyBytes", float64(l.BodyBytes), maxLimit},
			{"BodyTimeout", l.BodyTimeout.Seconds(), maxTimeout.Seconds()},
			{"WriteTimeout", l.WriteTimeout.Seconds(), maxTimeout.Seconds()},
			{"DrainTimeout", l.DrainTimeout.Seconds(), maxTimeout.Seconds()},
		} {
			if inside := field.value >= 0 && field.value <= field.most; !inside { // NaN too
				faults = append(faults, fmt.Errorf("WithLimits: %s is %g: it must be positive, and at most %.0f; a limit can't be turned off", field.name, field.value, field.most))
			}
		}
		c.limits = l
		return errors.Join(faults...)
	}
}

// withDefaults fills the fields that are zero.
func (l Limits) withDefaults() Limits {
	setDefault(&l.RequestsPerSecond, 100)
	setDefault(&l.Burst, 200)
	setDefault(&l.Concurrent, 64)
	setDefault(&l.Sessions, 32)
	setDefault(&l.AllSessions, 4096)
	setDefault(&l.BodyBytes, 4<<20)
	setDefault(&l.BodyTimeout, 30*time.Second)
	setDefault(&l.WriteTimeout, 30*time.Second)
	setDefault(&l.DrainTimeout, 25*time.Second)
	return l
}

// busy is the text for a user who is over the limits.
func (l Limits) busy() string {
	return fmt.Sprintf("Too many requests: a user may make %g a second and %d at a time; each message of a batch counts. "+
		"Wait as long as Retry-After says, then try again, with smaller batches", l.RequestsPerSecond, l.Concurrent)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
