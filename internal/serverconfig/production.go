package serverconfig

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// Production is the configuration of examples/production: the example server's, and what a server
// needs that is watched and has replicas.
type Production struct {
	Config
	RedisURL      string     // "" without Redis; it may contain a password
	StoreKeys     [][]byte   // encrypt the tokens in Redis
	SharedRates   bool       // replicas share the rates of a user
	MetricsAddr   string     // where Prometheus gets metrics; "" for nowhere
	SecretExpires time.Time  // when the client secret ends; zero if that is not configured
	Telemetry     OTelExport // what goes to a collector
}

// productionVariables are what examples/production reads besides the example server's.
var productionVariables = slices.Concat(exclusiveVariables, otelVariables)

// exclusiveVariables are those that no other program has.
var exclusiveVariables = []string{"REDIS_URL", "STORE_KEYS", "SHARED_RATES", "METRICS_ADDR", "CLIENT_SECRET_EXPIRES"}

// ReadProduction is Read for examples/production.
func ReadProduction(lookup func(string) (string, bool), dotenv []byte) (Production, []Fault) {
	v := newVariables(lookup, dotenv)
	c := Production{Config: v.readConfig()}
	v.readRedis(&c)
	v.readMetricsAddr(&c)
	v.readSecretExpires(&c)
	c.Telemetry = v.readOTel()
	if c.Telemetry.Disabled && c.MetricsAddr != "" {
		v.fault("METRICS_ADDR", "is set, and OTEL_SDK_DISABLED turns all metrics off", "Leave one of the two out")
	}
	if v.text("OTEL_LOGS_EXPORTER") != "" && v.text("OTEL_LOGS_EXPORTER") != "none" {
		c.Warnings = append(c.Warnings, "OTEL_LOGS_EXPORTER has no effect: logs go to standard error, as JSON with LOG_FORMAT=json")
	}
	c.Misspelled = vocabulary(slices.Concat(knownVariables, productionVariables)).misspelled(v.file)
	return c, v.faults
}

// readRedis reads what the replicas share, and where. The URL may have a password, so no fault
// quotes it.
func (v *variables) readRedis(c *Production) {
	const name, keys, rates = "REDIS_URL", "STORE_KEYS", "SHARED_RATES"
	c.RedisURL = v.text(name)
	shared, set := v.flag(rates)
	c.SharedRates = c.RedisURL != "" && (shared || !set)
	c.StoreKeys = v.readKeys(keys)
	if c.RedisURL == "" {
		for _, other := range []string{keys, rates} {
			if other == keys && v.text(keys) != "" || other == rates && shared {
				v.fault(other, "is set, and REDIS_URL is not", "Set REDIS_URL to the Redis that the replicas share, or leave "+other+" out")
			}
		}
		return
	}
	u, err := url.Parse(c.RedisURL)
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Hostname() == "" {
		v.fault(name, "is not a URL that begins with rediss:// or redis:// and has a host (its value is not shown: it may contain a password)",
			"Set it to rediss://:PASSWORD@HOST:PORT; special characters of the password are percent-encoded")
		return
	}
	if u.Scheme == "redis" && !isLoopback(u.Hostname()) {
		c.Warnings = append(c.Warnings, "REDIS_URL is not rediss://, so its password crosses the network in clear")
	}
	if c.OBO && v.text(keys) == "" {
		v.fault(keys, "is missing, and REDIS_URL is set: tokens in Redis must be encrypted", makeKey+"; the same on all replicas")
	}
}

// readMetricsAddr reads where /metrics is. It asks for no token, so it has a listener of its own.
func (v *variables) readMetricsAddr(c *Production) {
	const name, remedy = "METRICS_ADDR", "Set it to an address that only Prometheus reaches, such as 127.0.0.1:9464, or leave it out"
	if c.MetricsAddr = v.text(name); c.MetricsAddr == "" {
		return
	}
	host, text, err := net.SplitHostPort(c.MetricsAddr)
	if err == nil && host == "" {
		err = errors.New("no host")
	}
	port, portErr := strconv.ParseUint(text, 10, 16)
	if err != nil || portErr != nil {
		v.fault(name, fmt.Sprintf("%q is not HOST:PORT", Shorten(c.MetricsAddr)), remedy)
		return
	}
	if err := checkHost(host); err != nil && net.ParseIP(host) == nil {
		v.check(name, err, remedy)
		return
	}
	if int(port) == c.Port && port != 0 {
		v.fault(name, "has the port of the MCP endpoint, PORT", "Choose another port: metrics ask for no token")
	}
	if !isLoopback(host) {
		c.Warnings = append(c.Warnings, name+" is open to other machines, and metrics ask for no token: let only Prometheus reach it")
	}
}

// readSecretExpires reads the end of the client secret, which only the portal knows.
func (v *variables) readSecretExpires(c *Production) {
	const name = "CLIENT_SECRET_EXPIRES"
	s := v.text(name)
	if s == "" {
		return
	}
	end, err := time.Parse(time.DateOnly, s)
	if err != nil {
		end, err = time.Parse(time.RFC3339, s)
	}
	switch {
	case err != nil:
		v.fault(name, fmt.Sprintf("%q is not a date such as 2027-05-31, or a time such as 2027-05-31T12:00:00Z", Shorten(s)),
			"Copy Expires from Certificates & secrets of the app registration, or leave it out")
	case v.text("ENTRA_APP_CLIENT_SECRET") == "" && v.text("AUTH_PROXY_CLIENT_SECRET") == "":
		v.fault(name, "is set, and no client secret is", "Leave it out")
	}
	c.SecretExpires = end
}
