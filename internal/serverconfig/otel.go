package serverconfig

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// OTelExport is what the OTEL_ variables of OpenTelemetry's specification ask for. Exporters and
// the SDK read most of them by themselves, from the process's environment.
type OTelExport struct {
	Traces, Metrics bool              // sent to a collector
	Sampler         bool              // OTEL_TRACES_SAMPLER is set
	Disabled        bool              // OTEL_SDK_DISABLED
	FromFile        map[string]string // variables that only the .env file has, so the environment lacks them
}

// The values that OTEL_ variables may have; others are faults, where OpenTelemetry would log an
// error and use a default.
var (
	otelExporters = []string{"otlp", "console", "none"}
	otelProtocols = []string{"http/protobuf", "grpc"}
	otelSamplers  = []string{"always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"}
	otelNumbers   = []string{
		"OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
		"OTEL_METRIC_EXPORT_INTERVAL", "OTEL_METRIC_EXPORT_TIMEOUT",
		"OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT", "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
	}
	otelEndpoints = []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"}
	otelHeaders   = []string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_METRICS_HEADERS"}
	otelUnchecked = []string{
		"OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY",
		"OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_EXPORTER_OTLP_INSECURE", "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
	}
)

// otelVariables are those that are not taken for mistakes.
var otelVariables = slices.Concat([]string{
	"OTEL_SDK_DISABLED", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER",
	"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
	"OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG",
}, otelNumbers, otelEndpoints, otelHeaders, otelUnchecked)

// readOTel reads and checks the OTEL_ variables. Nothing is exported unless one of them names an
// exporter or an endpoint: the specification's default would send to localhost.
func (v *variables) readOTel() OTelExport {
	o := OTelExport{FromFile: map[string]string{}}
	for name, value := range v.file {
		if _, set := v.lookup(name); strings.HasPrefix(name, "OTEL_") && !set {
			o.FromFile[name] = value.text
		}
	}
	o.Disabled, _ = v.flag("OTEL_SDK_DISABLED")
	o.Sampler = v.oneOf("OTEL_TRACES_SAMPLER", otelSamplers) != ""
	v.checkSamplerArg()
	for _, signal := range []string{"", "TRACES_", "METRICS_"} {
		v.oneOf("OTEL_EXPORTER_OTLP_"+signal+"PROTOCOL", otelProtocols)
	}
	for _, name := range otelEndpoints {
		v.check(name, checkCollector(v.text(name)), "Set it to the collector's URL, such as http://otel-collector:4318")
	}
	for _, name := range otelHeaders {
		v.check(name, checkHeaders(v.list(name)), "List name=value, comma separated; special characters of the values are percent-encoded")
	}
	for _, name := range otelNumbers {
		if s := v.text(name); s != "" {
			if n, err := strconv.Atoi(s); err != nil || n < 1 {
				v.fault(name, fmt.Sprintf("%q is not a whole number above 0", Shorten(s)), "Times are in milliseconds; leave it out for the default")
			}
		}
	}
	for _, pair := range v.list("OTEL_RESOURCE_ATTRIBUTES") {
		if name, _, ok := strings.Cut(pair, "="); !ok || strings.TrimSpace(name) == "" {
			v.fault("OTEL_RESOURCE_ATTRIBUTES", "has a part that is not name=value", "List name=value, comma separated, such as deployment.environment.name=production")
			break
		}
	}
	o.Traces = v.exports("TRACES") && !o.Disabled
	o.Metrics = v.exports("METRICS") && !o.Disabled
	return o
}

// exports reports whether a signal goes to a collector.
func (v *variables) exports(signal string) bool {
	name := "OTEL_" + signal + "_EXPORTER"
	if v.text(name) == "prometheus" && signal == "METRICS" {
		v.fault(name, "is prometheus", "Set METRICS_ADDR, and leave it out")
		return false
	}
	switch v.oneOf(name, otelExporters) {
	case "none":
		return false
	case "":
		return v.text("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || v.text("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT") != ""
	}
	return true
}

// checkSamplerArg accepts the share of traces that a sampler by ratio keeps.
func (v *variables) checkSamplerArg() {
	const name = "OTEL_TRACES_SAMPLER_ARG"
	s := v.text(name)
	if s == "" {
		return
	}
	if !strings.HasSuffix(v.text("OTEL_TRACES_SAMPLER"), "traceidratio") {
		v.fault(name, "is set, and OTEL_TRACES_SAMPLER is not a sampler by ratio", "Set OTEL_TRACES_SAMPLER=parentbased_traceidratio, or leave it out for 1 % of the traces")
	} else if share, err := strconv.ParseFloat(s, 64); err != nil || !(share >= 0 && share <= 1) { // and not NaN
		v.fault(name, fmt.Sprintf("%q is not a number from 0 to 1", Shorten(s)), "Set it to the share of traces to keep, such as 0.01")
	}
}

// oneOf returns the value of a variable that has only these.
func (v *variables) oneOf(name string, values []string) string {
	s := v.text(name)
	if s != "" && !slices.Contains(values, s) {
		v.fault(name, fmt.Sprintf("%q is none of: %s", Shorten(s), strings.Join(values, ", ")), "Choose one, or leave it out")
	}
	return s
}

// checkCollector accepts a collector's URL.
func checkCollector(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("is not a URL that begins with https:// or http:// and has a host")
	case u.User != nil:
		return errors.New("has a user or password; put those into OTEL_EXPORTER_OTLP_HEADERS")
	}
	return nil
}

// checkHeaders accepts headers that OpenTelemetry reads without a complaint. It would log the others,
// and these have secrets: so the error quotes nothing.
func checkHeaders(pairs []string) error {
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if _, err := url.PathUnescape(value); !ok || err != nil || !isHeaderName(strings.TrimSpace(name)) {
			return errors.New("has a part that is not name=value (it is not shown: it may be a secret)")
		}
	}
	return nil
}

// isHeaderName reports whether a string is a token of RFC 9110, section 5.6.2.
func isHeaderName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}
