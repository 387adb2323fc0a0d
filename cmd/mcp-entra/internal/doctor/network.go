package doctor

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// maxBody bounds what is read of an answer, in bytes.
const maxBody = 1 << 20

// A probe is the answer to one request, and when it was on its way.
type probe struct {
	status         int
	header         http.Header
	body           []byte
	issuer         string    // of the server's certificate; "" without TLS
	validUntil     time.Time // the certificate
	sent, received time.Time
	connected      bool // also TLS, if there is any
	err            error
}

// get sends a GET request.
func (x *exam) get(ctx context.Context, address string) probe {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return probe{err: err}
	}
	req.Header.Set("Accept", "application/json")
	return x.do(x.client, req)
}

// do sends a request and reads the beginning of the answer.
func (x *exam) do(client *http.Client, req *http.Request) probe {
	p := probe{sent: x.options.Now()}
	var connected atomic.Bool // net/http may go on dialing after an error
	resp, err := client.Do(req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})))
	p.connected = connected.Load()
	p.received = x.options.Now()
	if err != nil {
		p.err = bare(err)
		return p
	}
	defer func() { _ = resp.Body.Close() }()
	p.status, p.header = resp.StatusCode, resp.Header
	if resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		p.issuer, p.validUntil = issuerOf(resp.TLS.PeerCertificates), resp.TLS.PeerCertificates[0].NotAfter
	}
	p.body, p.err = io.ReadAll(io.LimitReader(resp.Body, maxBody))
	return p
}

// bare removes the method and URL that net/http adds to an error, because the caller names them.
func bare(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// issuerOf names who issued the last certificate that the server sent.
func issuerOf(chain []*x509.Certificate) string {
	issuer := chain[len(chain)-1].Issuer
	return strings.Join(slices.DeleteFunc(append([]string{issuer.CommonName}, issuer.Organization...), func(s string) bool { return s == "" }), ", ")
}

// proxyFor returns the proxy for requests to the address, or nil.
func (x *exam) proxyFor(address string) *url.URL {
	t, ok := x.transport.(*http.Transport)
	if !ok || t.Proxy == nil {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	proxy, err := t.Proxy(&http.Request{Method: http.MethodGet, URL: u})
	if err != nil {
		return nil
	}
	return proxy
}

// resolve returns what is wrong with the name of the address's host, or of the proxy on the way.
func (x *exam) resolve(ctx context.Context, address, remedy string) (note string, f *Finding) {
	u, err := url.Parse(address)
	if err != nil {
		return "", &Finding{Problem: "the URL can't be read", Expected: "a URL such as https://host", Came: address, Remedy: remedy}
	}
	host, whose := u.Hostname(), ""
	if proxy := x.proxyFor(address); proxy != nil {
		host, whose = proxy.Hostname(), "the proxy "
		remedy = "Correct HTTPS_PROXY, or list the host in NO_PROXY"
	}
	addresses, err := x.options.Lookup(ctx, host)
	if err != nil || len(addresses) == 0 {
		return "", &Finding{
			Problem: whose + host + " does not resolve", Expected: "at least one address", Came: lookupError(err), Remedy: remedy,
		}
	}
	return whose + host + " is " + strings.Join(addresses[:min(3, len(addresses))], ", "), nil
}

func lookupError(err error) string {
	var dns *net.DNSError
	switch {
	case err == nil:
		return "an empty answer"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "no such host"
	case errors.As(err, &dns) && dns.IsTimeout, errors.Is(err, context.DeadlineExceeded):
		return "no answer from the resolver in time"
	}
	return "the resolver failed: " + err.Error()
}

// dns resolves the authority's name.
func (x *exam) dns(ctx context.Context) Result {
	if x.faulty("AZURE_AUTHORITY_HOST") {
		return *misconfigured()
	}
	note, f := x.resolve(ctx, x.host.String(), "Check AZURE_AUTHORITY_HOST, and the resolver of this machine (/etc/resolv.conf, the cluster's DNS)")
	if f != nil {
		return failed(*f)
	}
	return ok("%s", note)
}

// tls connects to the authority and keeps its answer for the checks behind it.
func (x *exam) tls(ctx context.Context) Result {
	if x.TenantID == "" {
		x.entra = x.get(ctx, x.host.String()+"/common/v2.0/.well-known/openid-configuration")
	} else {
		x.entra = x.get(ctx, x.host.MetadataV2(x.TenantID)+"?appid="+url.QueryEscape(x.ClientID))
	}
	if x.entra.err == nil {
		if proxy := x.proxyFor(x.host.String()); proxy != nil {
			return ok("connected through the proxy %s; certificate of %s", proxy.Host, x.entra.issuer)
		}
		return ok("connected; certificate of %s", x.entra.issuer)
	}
	if outOfTime(x.entra.err) { // by whose clock?
		x.entra = x.dated(ctx, x.host.String(), x.entra)
		if x.dateIsOff() {
			return *becauseOfClock()
		}
	}
	return failed(x.unreachable(x.entra, x.host.String()))
}

// dated asks again without judging the certificate, for the Date of the answer alone.
func (x *exam) dated(ctx context.Context, address string, first probe) probe {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, address, nil)
	if err != nil {
		return first
	}
	p := x.do(x.insecure, req)
	return probe{header: p.header, sent: p.sent, received: p.received, err: first.err}
}

// outOfTime reports whether a certificate is not valid at the time of the clock.
func outOfTime(err error) bool {
	var invalid x509.CertificateInvalidError
	return errors.As(err, &invalid) && invalid.Reason == x509.Expired
}

// blamed returns the result of a check whose request failed for a fault that another check has
// found, or nil: the resolver and the proxy fail for everybody, and the clock judges all certificates.
func (x *exam) blamed(p probe, address string) *Result {
	err := p.err
	switch {
	case x.sameWay(p, address):
		return x.blocked("dns", "tls", "authority")
	case errors.Is(err, errUnresolved):
		return x.blocked("dns")
	case outOfTime(err) && x.dateIsOff():
		return becauseOfClock()
	case distrusted(err) != "" && (distrusted(err) == distrusted(x.entra.err) || distrusted(x.entra.err) != "" && x.trustHint() != ""):
		return x.blocked("tls")
	}
	return nil
}

// sameWay reports whether the answer, or the lack of one, came the same way as Entra's that can't be
// used: through the same proxy, or from one that reads along.
func (x *exam) sameWay(p probe, address string) bool {
	proxy, entras := x.proxyFor(address), x.proxyFor(x.host.String())
	switch {
	case p.err == nil && (x.entra.isJSON() || p.isJSON()): // not the proxy's page
		return false
	case proxy != nil && entras != nil:
		return proxy.Host == entras.Host
	}
	return p.err == nil && p.issuer != "" && p.issuer == x.entra.issuer
}

// distrusted names who issued a certificate that this machine doesn't trust; it is "" for other
// errors.
func distrusted(err error) string {
	var unknown x509.UnknownAuthorityError
	var verify *tls.CertificateVerificationError
	switch {
	case !errors.As(err, &unknown):
		return ""
	case errors.As(err, &verify) && len(verify.UnverifiedCertificates) > 0:
		return orElse(issuerOf(verify.UnverifiedCertificates), "an unknown authority")
	}
	return "an unknown authority"
}

// unreachable says why there is no answer from the address.
func (x *exam) unreachable(p probe, address string) Finding {
	u, _ := url.Parse(address)
	host := u.Hostname()
	f := Finding{Problem: host + " can't be reached", Expected: "a TLS connection to " + u.Host, Came: p.err.Error(),
		Remedy: "Check firewalls, network rules and HTTPS_PROXY between this machine and " + u.Host}
	if u.Scheme == "http" {
		f.Expected = "a connection to " + u.Host
	}
	if proxy := x.proxyFor(address); proxy != nil {
		f.Problem += " through the proxy " + proxy.Host
		f.Remedy = "Check HTTPS_PROXY and what the proxy allows, or list " + host + " in NO_PROXY"
		if status := statusNamed(p.err.Error()); status != 0 { // all that net/http tells of a refused CONNECT
			f.Came = fmt.Sprintf("the proxy answers with HTTP status %d, %s", status, p.err)
			if status == http.StatusProxyAuthRequired {
				f.Remedy = "The proxy refuses the user name and password in HTTPS_PROXY: correct them, or list " + host + " in NO_PROXY"
			}
			if status == http.StatusProxyAuthRequired && proxy.User == nil {
				f.Remedy = "The proxy wants to know who you are: HTTPS_PROXY=http://USER:PASSWORD@" + proxy.Host + ", or list " + host + " in NO_PROXY"
			}
		}
	}
	var (
		name     x509.HostnameError
		plain    tls.RecordHeaderError
		timedOut net.Error
	)
	switch {
	case distrusted(p.err) != "":
		f.Problem = "a proxy or another server answers for " + host + " with a certificate that this machine doesn't trust"
		f.Expected = "a certificate of a trusted authority"
		f.Came = "a certificate issued by " + distrusted(p.err)
		f.Remedy = x.trustHint() + "If this is your organization's proxy, add its CA to the file that SSL_CERT_FILE names, for the server too. " +
			"If it is not, something reads along: find out what"
	case errors.As(p.err, &name):
		f.Problem = "another server answers for " + host
		f.Expected, f.Came = "a certificate for "+host, "one for "+strings.Join(name.Certificate.DNSNames, ", ")+", issued by "+issuerOf([]*x509.Certificate{name.Certificate})
		f.Remedy = "Check the host's name, its DNS entry, and any proxy on the way"
	case outOfTime(p.err):
		f.Problem, f.Expected = "the certificate of "+host+" is not valid now", "a certificate that is valid at "+x.options.Now().UTC().Format(time.RFC3339)
		f.Remedy = "Have the certificate renewed by whoever runs the server or the proxy in front of it"
	case errors.As(p.err, &plain), errors.Is(p.err, http.ErrSchemeMismatch):
		f.Came = "an answer that is not TLS"
		f.Remedy = "Check the port, and that nothing between here and there answers in plain HTTP"
	case errors.Is(p.err, syscall.ECONNREFUSED):
		f.Came = "the connection was refused"
	case p.connected && errors.Is(p.err, context.DeadlineExceeded):
		f.Problem = strings.Replace(f.Problem, "can't be reached", "does not answer", 1)
		f.Expected, f.Came = "an answer in time", "a connection, and no complete answer in time"
		f.Remedy = "See the log of " + u.Host + ", and of any proxy in front of it: it took the request"
	case errors.Is(p.err, context.DeadlineExceeded), errors.As(p.err, &timedOut) && timedOut.Timeout():
		f.Came = "no answer in time"
		f.Remedy = "A firewall that drops packets looks like this. " + f.Remedy
	case errors.Is(p.err, syscall.ECONNRESET), errors.Is(p.err, io.EOF), errors.Is(p.err, io.ErrUnexpectedEOF):
		f.Came = "the connection was closed without an answer"
	}
	return f
}

// statusNamed returns the status of HTTP that has this text, or 0.
func statusNamed(text string) int {
	for status := http.StatusMultipleChoices; status < 600; status++ {
		if text != "" && http.StatusText(status) == text {
			return status
		}
	}
	return 0
}

// trustHint says what is wrong with the file of trusted certificates, if anything is.
func (x *exam) trustHint() string {
	if x.TrustFile == "" {
		return ""
	}
	pem, err := os.ReadFile(x.TrustFile)
	switch {
	case err != nil:
		return "SSL_CERT_FILE names a file that can't be read: correct it. "
	case !x509.NewCertPool().AppendCertsFromPEM(pem):
		return "SSL_CERT_FILE names a file without a certificate in PEM format: correct it. "
	}
	return ""
}

// authority checks that the answer is Entra's.
func (x *exam) authority(context.Context) Result {
	p := x.entra
	what := fmt.Sprintf("HTTP status %d, %s", p.status, contentType(p.header))
	switch {
	case p.isJSON() && (p.status == http.StatusOK || p.code() != 0):
		return ok("Entra ID answers at %s", x.host)
	case p.status == http.StatusTooManyRequests || p.status >= http.StatusInternalServerError && p.isJSON():
		return failed(Finding{Problem: "Entra ID has a problem", Expected: "HTTP status 200", Came: what,
			Remedy: "Try again in some minutes, and see https://status.cloud.microsoft"})
	}
	f := Finding{Problem: "something else than Entra ID answers at " + x.host.String(), Expected: "Entra ID's metadata, as JSON", Came: what,
		Remedy: "A proxy, a firewall's page or a sign-in page of the network answers for Entra. Let " + hostOf(x.host.String()) +
			" through without a page, or correct AZURE_AUTHORITY_HOST"}
	if to := p.header.Get("Location"); to != "" {
		f.Came += ", a redirect to " + hostOf(to)
	}
	if via := cmp.Or(p.header.Get("Via"), p.header.Get("Server")); via != "" {
		f.Came += ", sent by " + printable(via)
	}
	if p.issuer != "" {
		f.Came += ", with a certificate of " + p.issuer
	}
	return failed(f)
}

func (p probe) isJSON() bool {
	body := bytes.TrimSpace(p.body)
	return len(body) > 0 && body[0] == '{'
}

func contentType(h http.Header) string {
	return cmp.Or(printable(h.Get("Content-Type")), "no content type")
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "another address"
	}
	return u.Host
}
