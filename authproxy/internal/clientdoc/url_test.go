package clientdoc_test

import (
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientdoc"
)

func TestURLs(t *testing.T) {
	t.Parallel()
	long := "https://client.example/" + strings.Repeat("a", 512-len("https://client.example/"))
	for url, good := range map[string]bool{
		clientURL:                                                 true,
		"https://client.example/a":                                true,
		"https://client.example/a/":                               true,
		"https://client.example//":                                true,
		"https://client.example/a?b=c&d":                          true,
		"https://client.example/a?":                               true,
		"https://client.example/a?x=../..":                        true, // a query has no segments
		"https://client.example/a%20b/%2f":                        true,
		"https://client.example/a..b/...":                         true,
		"https://client.example:8443/a":                           true,
		"https://client.example:443/a":                            true,
		"https://CLIENT.example/a":                                true,
		"https://xn--bcher-kva.example/a":                         true,
		"https://client.xn--p1ai/a":                               true,
		"https://local.example/a":                                 true,
		"https://1.2.3.4.example/a":                               true,
		long:                                                      true,
		long + "a":                                                false,
		"":                                                        false,
		"https://":                                                false,
		"https:///a":                                              false,
		"http://client.example/a":                                 false,
		"HTTPS://client.example/a":                                false,
		"ftp://client.example/a":                                  false,
		"https:client.example/a":                                  false,
		"//client.example/a":                                      false,
		"https://client.example":                                  false,
		"https://client.example/":                                 false,
		"https://client.example?a":                                false,
		"https://client.example/?a":                               false,
		"https://client.example/a#":                               false,
		"https://client.example/a#b":                              false,
		"https://user@client.example/a":                           false,
		"https://user:pass@client.example/a":                      false,
		"https://@client.example/a":                               false,
		"https://good.example@client.example/a":                   false,
		"https://client.example/./a":                              false,
		"https://client.example/a/..":                             false,
		"https://client.example/a/.":                              false,
		"https://client.example/%2e%2e/a":                         false,
		"https://client.example/a/%2E":                            false,
		"https://client.example/.%2e/a":                           false,
		"https://client.example/a%2f..%2fb":                       false,
		"https://client.example/a%5c..%5cb":                       false,
		`https://client.example/a\b`:                              false,
		`https://client.example\@evil.test/a`:                     false,
		"https://client.example/a]":                               false,
		"https://client.example/a?b[]=c":                          false,
		"https://client .example/a":                               false,
		"https://client.example\x01/a":                            false,
		"https://client%00.example/a":                             false,
		"https://client.example;a/a":                              false,
		"https://client.example,b.example/a":                      false,
		"https://client.example/a b":                              false,
		"https://client.example/a\tb":                             false,
		"https://client.example/a\n":                              false,
		" https://client.example/a":                               false,
		"https://client.example/a\x00":                            false,
		"https://client.example/\u00e4":                           false,
		"https://cl\u0456ent.example/a":                           false, // Cyrillic
		"https://client.example/a%":                               false,
		"https://client.example/a%zz":                             false,
		"https://client.example/a?%zz":                            false,
		"https://client%2eexample/a":                              false,
		"https://client.example:0/a":                              false,
		"https://client.example:/a":                               false,
		"https://client.example:0443/a":                           false,
		"https://client.example:65536/a":                          false,
		"https://client.example:+443/a":                           false,
		"https://client.example:443:443/a":                        false,
		"https://client.example./a":                               false,
		"https://client..example/a":                               false,
		"https://.client.example/a":                               false,
		"https://-client.example/a":                               false,
		"https://client-.example/a":                               false,
		"https://cli_ent.example/a":                               false,
		"https://" + strings.Repeat("a", 64) + ".example/a":       false,
		"https://" + strings.Repeat("abcdefg.", 40) + "example/a": false,
		"https://client/a":                                        false,
		"https://localhost/a":                                     false,
		"https://localhost:8443/a":                                false,
		"https://a.localhost/a":                                   false,
		"https://printer.local/a":                                 false,
		"https://printer.LOCAL/a":                                 false,
		"https://metadata.internal/a":                             false,
		"https://metadata.google.internal/a":                      false,
		"https://127.0.0.1/a":                                     false,
		"https://93.184.216.34/a":                                 false,
		"https://93.184.216.34./a":                                false,
		"https://127.1/a":                                         false,
		"https://2130706433/a":                                    false,
		"https://0x7f.1/a":                                        false,
		"https://0x7f000001/a":                                    false,
		"https://0177.0.0.1/a":                                    false,
		"https://1.1.1.0x1/a":                                     false,
		"https://[::1]/a":                                         false,
		"https://[2606:4700::1111]/a":                             false,
		"https://[::ffff:127.0.0.1]/a":                            false,
		"https://[fe80::1%25eth0]/a":                              false,
		"https://[v1.client.example]/a":                           false,
		"https://[client.example]/a":                              false,
	} {
		n := newInternet(t, serveOwn)
		d, err := n.Document(t.Context(), url)
		if !good {
			if fault := badURL.fault(err); fault != "" {
				t.Errorf("Document(%q): %s", url, fault)
			}
			if got := n.resolved.Load(); got != 0 {
				t.Errorf("Document(%q): its host was resolved, want nothing done with a URL that is refused", url)
			}
			continue
		}
		if err != nil || d.URL != url {
			t.Errorf("Document(%q) = %+v, %v; want the document", url, d, err)
		}
	}
}

func TestHostOfADocument(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"https://Client.Example/a":      "client.example",
		"https://client.example:443/a":  "client.example",
		"https://client.example:8443/a": "client.example:8443",
	} {
		d, err := newInternet(t, serveOwn).Document(t.Context(), url)
		if err != nil || d.Host != want {
			t.Errorf("Document(%q): got %+v, %v; want the host %s", url, d, err, want)
		}
	}
}

func TestIsURL(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{clientURL: true, "https://": true, "http://client.example/a": false, "abc": false, "": false} {
		if got := clientdoc.IsURL(id); got != want {
			t.Errorf("IsURL(%q) = %v, want %v", id, got, want)
		}
	}
}
