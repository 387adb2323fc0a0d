package serverconfig

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
)

// Listen is where the server listens and how it logs. The demo reads nothing else from the
// environment.
type Listen struct {
	Host       string
	Port       int  // 0: any free one
	PortIsSet  bool // set explicitly
	LogLevel   slog.Level
	LevelIsSet bool // set explicitly
	LogJSON    bool // a JSON object for each line, not key=value
}

// Logger returns a logger in the configured format, from that level on.
func (c Listen) Logger(w io.Writer, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if c.LogJSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

func (v *variables) readListen(c *Listen) {
	c.Host = v.textOr("HOST", "127.0.0.1")
	v.check("HOST", checkHost(c.Host), "Set it to 127.0.0.1 for this machine only, or 0.0.0.0 in a container")
	s := v.text("PORT")
	c.Port, c.PortIsSet = 8000, s != ""
	if c.PortIsSet {
		port, err := strconv.ParseUint(s, 10, 16)
		if err != nil {
			v.fault("PORT", fmt.Sprintf("%q is not a number from 0 to 65535", Shorten(s)), "Leave it out for 8000; 0 takes any free port")
		}
		c.Port = int(port)
	}
	s = v.text("LOG_LEVEL")
	c.LevelIsSet = s != ""
	switch strings.ToLower(s) {
	case "debug":
		c.LogLevel = slog.LevelDebug
	case "info", "":
		c.LogLevel = slog.LevelInfo
	case "warn":
		c.LogLevel = slog.LevelWarn
	case "error":
		c.LogLevel = slog.LevelError
	default:
		v.fault("LOG_LEVEL", fmt.Sprintf("%q is not a level", Shorten(s)), "Set it to debug, info, warn or error")
	}
	switch s := v.text("LOG_FORMAT"); strings.ToLower(s) {
	case "json":
		c.LogJSON = true
	case "text", "":
	default:
		v.fault("LOG_FORMAT", fmt.Sprintf("%q is not a format", Shorten(s)), "Set it to text or json")
	}
}
