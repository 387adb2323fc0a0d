package pages

import (
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// A place is where an address leads: the host of a site in ASCII, this computer, or an app that
// has a scheme of its own. One of them is set.
type place struct {
	Host  string // with the port, if the address has one
	Local bool
	App   string
}

// placeOf returns the place of an address that was checked.
func placeOf(address string) place {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme == "":
		return place{Host: ascii(clean(address, maxDetail))}
	case u.Scheme != "https" && u.Scheme != "http":
		return place{App: u.Scheme}
	}
	switch u.Hostname() {
	case "localhost", "127.0.0.1", "::1":
		return place{Local: true}
	}
	return place{Host: ascii(strings.ToLower(u.Host))}
}

// hostname returns the host without its port.
func (p place) hostname() string {
	u := url.URL{Host: p.Host}
	return u.Hostname()
}

// ascii returns the host with everything but visible ASCII escaped. A checked host has nothing
// else; but a letter that looks like another must never be shown as if it were that.
func ascii(host string) string {
	quoted := strconv.QuoteToASCII(host)
	return quoted[1 : len(quoted)-1]
}

// A continueView is what the page that leads on is given.
type continueView struct {
	page
	To    template.URL
	Place place
}

// ShowContinue writes the page that takes the browser to an address that was checked: browsers
// apply the form's policy to redirects after a POST, so that a redirect would not do.
func (p *Renderer) ShowContinue(w http.ResponseWriter, r *http.Request, to template.URL) {
	p.write(w, r, http.StatusOK, "continue", &continueView{To: to, Place: placeOf(string(to))})
}
