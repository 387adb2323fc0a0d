package pages

import (
	"html/template"
	"net/http"
	"strconv"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/redirecturi"
)

// A place is where an address leads: the host of a site in ASCII, this computer, or an app that
// has a scheme of its own. One of them is set.
type place struct {
	Host  string
	Local bool
	App   string
}

// placeOf returns the place of an address that was checked.
func placeOf(address string) place {
	if redirecturi.IsLoopback(address) {
		return place{Local: true}
	}
	return place{Host: ascii(redirecturi.Host(address)), App: ascii(redirecturi.Scheme(address))}
}

// ascii returns the text with everything but visible ASCII escaped. A checked host has nothing
// else; but a letter that looks like another must never be shown as if it were that.
func ascii(text string) string {
	quoted := strconv.QuoteToASCII(text)
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
