package serverconfig

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

// withRedis adds a Redis to the required variables.
func withRedis(more ...string) map[string]string {
	variables := withOBO("REDIS_URL", "rediss://:"+testSecret+"@redis:6380", "STORE_KEYS", keyOf("a"))
	maps.Copy(variables, with(more...))
	return variables
}

func TestProduction(t *testing.T) {
	t.Parallel()
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for name, c := range map[string]struct {
		variables map[string]string
		dotenv    string
		want      string // Redis, shared rates, metrics, end of the secret, traces, metrics, sampler
	}{
		"nothing":               {with(), "", "false false  0 false false false"},
		"Redis":                 {withRedis(), "", "true true  0 false false false"},
		"rates of each replica": {withRedis("SHARED_RATES", "off"), "", "true false  0 false false false"},
		"Prometheus":            {with("METRICS_ADDR", "127.0.0.1:9464"), "", "false false 127.0.0.1:9464 0 false false false"},
		"the end of a day":      {withOBO("CLIENT_SECRET_EXPIRES", "2027-05-31"), "", "false false  1811721600 false false false"},
		"a time":                {withOBO("CLIENT_SECRET_EXPIRES", "2027-05-31T12:00:00Z"), "", "false false  1811764800 false false false"},
		"a collector":           {with(endpoint, "http://collector:4318"), "", "false false  0 true true false"},
		"from the file":         {with(), endpoint + "=http://collector:4318", "false false  0 true true false"},
		"traces alone":          {with("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector"), "", "false false  0 true false false"},
		"an exporter's name":    {with("OTEL_METRICS_EXPORTER", "otlp"), "", "false false  0 false true false"},
		"not the traces":        {with(endpoint, "http://collector:4318", "OTEL_TRACES_EXPORTER", "none"), "", "false false  0 false true false"},
		"off":                   {with(endpoint, "http://collector:4318", "OTEL_SDK_DISABLED", "true"), "", "false false  0 false false false"},
		"sampled":               {with("OTEL_TRACES_SAMPLER", "traceidratio", "OTEL_TRACES_SAMPLER_ARG", "0.5"), "", "false false  0 false false true"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, faults := ReadProduction(lookupIn(c.variables), []byte(c.dotenv))
			end := int64(0)
			if !p.SecretExpires.IsZero() {
				end = p.SecretExpires.Unix()
			}
			got := fmt.Sprint(p.RedisURL != "", p.SharedRates, " ", p.MetricsAddr, " ", end, " ", p.Telemetry.Traces, p.Telemetry.Metrics, p.Telemetry.Sampler)
			if strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(c.want), " ") || len(faults) > 0 {
				t.Errorf("got %s and faults %v, want %s", got, faults, c.want)
			}
			if _, inFile := p.Telemetry.FromFile[endpoint]; inFile != (c.dotenv != "") {
				t.Errorf("FromFile has the endpoint: %v, want it only of the file", inFile)
			}
		})
	}
}

func TestProductionFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		variables  map[string]string
		where, say string
	}{
		"Redis by http":           {withRedis("REDIS_URL", "http://:"+testSecret+"@redis"), "REDIS_URL", "rediss://"},
		"Redis without a host":    {withRedis("REDIS_URL", "redis://"), "REDIS_URL", "has a host"},
		"no keys":                 {withRedis("STORE_KEYS", ""), "STORE_KEYS", "must be encrypted"},
		"bad keys":                {withRedis("STORE_KEYS", testSecret), "STORE_KEYS", "key 1 is not base64"},
		"keys for nothing":        {with("STORE_KEYS", keyOf("a")), "STORE_KEYS", "REDIS_URL is not"},
		"rates of nobody":         {with("SHARED_RATES", "on"), "SHARED_RATES", "REDIS_URL is not"},
		"a port alone":            {with("METRICS_ADDR", "9464"), "METRICS_ADDR", `"9464" is not HOST:PORT`},
		"every address":           {with("METRICS_ADDR", ":9464"), "METRICS_ADDR", "is not HOST:PORT"},
		"the endpoint's port":     {with("METRICS_ADDR", "127.0.0.1:8000"), "METRICS_ADDR", "has the port of the MCP endpoint"},
		"metrics that are off":    {with("METRICS_ADDR", "127.0.0.1:9464", "OTEL_SDK_DISABLED", "1"), "METRICS_ADDR", "turns all metrics off"},
		"not a date":              {withOBO("CLIENT_SECRET_EXPIRES", "31.5.2027"), "CLIENT_SECRET_EXPIRES", "is not a date"},
		"no secret":               {with("CLIENT_SECRET_EXPIRES", "2027-05-31"), "CLIENT_SECRET_EXPIRES", "no client secret is"},
		"an exporter":             {with("OTEL_TRACES_EXPORTER", "jaeger"), "OTEL_TRACES_EXPORTER", "is none of: otlp, console, none"},
		"Prometheus by OTEL_":     {with("OTEL_METRICS_EXPORTER", "prometheus"), "OTEL_METRICS_EXPORTER", "is prometheus"},
		"a protocol":              {with("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"), "OTEL_EXPORTER_OTLP_PROTOCOL", "is none of"},
		"a collector's host":      {with("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"), "OTEL_EXPORTER_OTLP_ENDPOINT", "is not a URL"},
		"a collector's password":  {with("OTEL_EXPORTER_OTLP_ENDPOINT", "https://u:"+testSecret+"@collector"), "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"},
		"a collector's key":       {with("OTEL_EXPORTER_OTLP_HEADERS", testSecret), "OTEL_EXPORTER_OTLP_HEADERS", "is not name=value"},
		"a header's value":        {with("OTEL_EXPORTER_OTLP_HEADERS", "api-key="+testSecret+"%zz"), "OTEL_EXPORTER_OTLP_HEADERS", "is not name=value"},
		"a sampler":               {with("OTEL_TRACES_SAMPLER", "sometimes"), "OTEL_TRACES_SAMPLER", "is none of"},
		"more than all":           {with("OTEL_TRACES_SAMPLER", "traceidratio", "OTEL_TRACES_SAMPLER_ARG", "1.5"), "OTEL_TRACES_SAMPLER_ARG", "is not a number from 0 to 1"},
		"no number":               {with("OTEL_TRACES_SAMPLER", "traceidratio", "OTEL_TRACES_SAMPLER_ARG", "NaN"), "OTEL_TRACES_SAMPLER_ARG", "is not a number from 0 to 1"},
		"a share without sampler": {with("OTEL_TRACES_SAMPLER_ARG", "0.1"), "OTEL_TRACES_SAMPLER_ARG", "is not a sampler by ratio"},
		"a time with a unit":      {with("OTEL_METRIC_EXPORT_INTERVAL", "60s"), "OTEL_METRIC_EXPORT_INTERVAL", "milliseconds"},
		"an attribute":            {with("OTEL_RESOURCE_ATTRIBUTES", "production"), "OTEL_RESOURCE_ATTRIBUTES", "name=value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, faults := ReadProduction(lookupIn(c.variables), nil)
			if all := fmt.Sprint(faults); len(faults) != 1 || faults[0].Where != c.where || !strings.Contains(all, c.say) || strings.Contains(all, "S3cr3t") {
				t.Errorf("got faults %v, want one of %s that says %q, and no secret", faults, c.where, c.say)
			}
		})
	}
}

// Names of examples/production that are misspelled are told there, and are no mistakes elsewhere.
func TestProductionNames(t *testing.T) {
	t.Parallel()
	p, _ := ReadProduction(lookupIn(with()), []byte("METRIC_ADDR=x\nREDIS_URI=x\n"))
	if got := strings.Join(p.Misspelled, "\n"); !strings.Contains(got, "did you mean METRICS_ADDR?") || !strings.Contains(got, "did you mean REDIS_URL?") {
		t.Errorf("got %q, want METRICS_ADDR and REDIS_URL", got)
	}
	if p, _ := ReadProduction(lookupIn(with()), []byte("OTEL_EXPORTER_OTLP_HEADERS=a=b\nOTEL_EXPORTER_OTLP_COMPRESSION=gzip\n")); len(p.Misspelled) > 0 {
		t.Errorf("takes OpenTelemetry's own names for mistakes: %q", p.Misspelled)
	}
	if c := mustRead(t, with(), "METRICS_ADDR=x\nSTORE_KEYS=x\n"); len(c.Misspelled) > 0 {
		t.Errorf("the example server takes them for mistakes: %q", c.Misspelled)
	} else if got := strings.Join(c.Foreign, " "); got != "STORE_KEYS METRICS_ADDR" {
		t.Errorf("the variables of another program are %q, want STORE_KEYS METRICS_ADDR", got)
	}
	for _, name := range productionVariables {
		if got := vocabulary(knownVariables).meantBy(name); got != "" {
			t.Errorf("%s is taken for %s", name, got)
		}
	}
}
