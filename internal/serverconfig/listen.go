package serverconfig

import (
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
)

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
}

func (v *variables) readPublicURL(c *Config) {
	s := strings.TrimSuffix(v.text("PUBLIC_URL"), "/")
	if s == "" {
		if ip := net.ParseIP(c.Host); c.Host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			c.Warnings = append(c.Warnings, "HOST is open to other machines and PUBLIC_URL is not set: "+
				"only clients that call this server localhost are served")
		}
		return
	}
	c.PublicURL = s
	v.check("PUBLIC_URL", checkOrigin(s), "Set it to what clients use, such as https://mcp.example.com; /mcp is added to it")
}
