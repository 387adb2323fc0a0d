// Package pages is what people see of the proxy: the consent page, and pages for what went
// wrong. They work without scripts, by keyboard and with a screen reader, in the language and
// the colors that the browser prefers.
//
// The folder html has the pages' structure, their texts by language, and the stylesheet.
package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/text/language"
)

// A Renderer writes pages. It is safe for concurrent use.
type Renderer struct {
	pages  []map[string]*template.Template // by language, as in languages, and by page
	match  language.Matcher
	policy string
}

// languages are those of the pages; the first is for everybody who reads none of them.
var languages = []language.Tag{language.English, language.Japanese}

//go:embed html
var files embed.FS

// New returns a renderer.
func New() *Renderer {
	css, err := files.ReadFile("html/style.css")
	if err != nil {
		panic(err) // it is embedded
	}
	hash := sha256.Sum256(css)
	p := &Renderer{
		match: language.NewMatcher(languages),
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
			"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	}
	style := template.HTML("<style>" + string(css) + "</style>") //nolint:gosec // ours
	for _, tag := range languages {
		texts := template.Must(template.New("").Funcs(template.FuncMap{"style": func() template.HTML { return style }}).
			ParseFS(files, "html/layout.html", "html/consent.html", "html/continue.html", "html/problem.html", "html/"+tag.String()+".html"))
		p.pages = append(p.pages, assemble(texts))
	}
	return p
}

// assemble returns the pages of a language. What a page consists of has names that begin with
// the page's, such as "consent.title".
func assemble(texts *template.Template) map[string]*template.Template {
	pages := map[string]*template.Template{}
	for _, t := range texts.Templates() {
		name, ok := strings.CutSuffix(t.Name(), ".title")
		if !ok {
			continue
		}
		assembled := template.Must(texts.Clone())
		for _, part := range []string{"title", "text", "refresh", "main"} {
			source := texts.Lookup(name + "." + part)
			if source == nil && part == "main" {
				source = texts.Lookup("problem.main")
			}
			if source != nil {
				template.Must(assembled.AddParseTree(part, source.Tree.Copy())) // each page escapes its own
			}
		}
		pages[name] = assembled.Lookup("layout")
	}
	return pages
}

// maxAcceptLanguage bounds the header that is read, in bytes. Browsers send fewer than 100.
const maxAcceptLanguage = 500

// language returns the index of the language that the browser prefers.
func (p *Renderer) language(r *http.Request) int {
	header := strings.Join(r.Header.Values("Accept-Language"), ",")
	if len(header) > maxAcceptLanguage {
		return 0
	}
	tags, _, err := language.ParseAcceptLanguage(header)
	if err != nil {
		return 0
	}
	_, index, _ := p.match.Match(tags...)
	return index
}

// write writes a page. The view is given the page's language.
func (p *Renderer) write(w http.ResponseWriter, r *http.Request, status int, name string, view interface{ setLang(lang string) }) {
	index := p.language(r)
	view.setLang(languages[index].String())
	var body bytes.Buffer
	body.Grow(8 << 10)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept-Language")
	h.Set("Content-Security-Policy", p.policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	// With no-referrer, browsers send "Origin: null" with the page's own form.
	h.Set("Referrer-Policy", "same-origin")
	if err := p.pages[index][name].Execute(&body, view); err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", languages[index].String())
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // fails only if the browser is gone
}

// A page is what every page is given.
type page struct{ Lang string }

func (p *page) setLang(lang string) { p.Lang = lang }
