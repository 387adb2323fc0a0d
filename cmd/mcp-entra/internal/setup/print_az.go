package setup

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// PrintAz writes the plan as a bash script of az rest calls, for those who read a script before they
// run it. It captures the ids that later calls need, waits for what Graph has not replicated, and can
// be run again. A secret goes to a file that only its owner can read.
func PrintAz(w io.Writer, p *Plan) error {
	s := &script{names: map[string]string{"tenant": "tenant"}, taken: map[string]bool{}}
	var steps bytes.Buffer
	known := slices.DeleteFunc(slices.Sorted(maps.Keys(p.Known)), func(name string) bool { return name == "tenant" })
	for _, name := range known {
		s.define(name)
	}
	for _, step := range p.Steps {
		if err := s.step(&steps, step); err != nil {
			return fmt.Errorf("print step %s: %w", step.ID, err)
		}
	}
	graph, err := url.Parse(p.Graph)
	if err != nil {
		return fmt.Errorf("print the plan: its Graph host is not a URL: %w", err)
	}
	fmt.Fprintf(w, azHead, oneLine(p.Spec.Name), quote(p.Graph), quote(graph.Scheme+"://"+graph.Host), quote(p.Tenant), quote("./"+p.Spec.Name+".secrets"))
	for _, name := range known {
		fmt.Fprintf(w, "%s=%s\n", s.names[name], quote(p.Known[name]))
	}
	for _, note := range p.Notes {
		fmt.Fprintf(w, "# Note: %s\n", oneLine(note))
	}
	for _, b := range p.Unread {
		fmt.Fprintf(w, "# Not known, and so left out: %s, which needs %s to read (%s)\n", oneLine(b.What), b.Permission, b.Role)
	}
	if _, err := steps.WriteTo(w); err != nil {
		return err
	}
	fmt.Fprint(w, "\nsay 'Done. mcp-entra setup apply now changes nothing, and prints the variables of the server and what is left to do by hand.'\n")
	for _, name := range s.order {
		if strings.HasSuffix(name, ".appId") {
			fmt.Fprintf(w, "printf '%%s\\n' %s\"$%s\"\n", quote(name+"="), s.names[name])
		}
	}
	return nil
}

// azHead is the part of the script that every plan shares. Its functions send what it writes for the
// steps. Bash 3.2, which macOS has, is enough for it.
const azHead = `#!/usr/bin/env bash
# Registers %s with Microsoft Entra ID. Printed by: mcp-entra setup plan -print az
# Needs the Azure CLI, signed in to the tenant (az login). It can be run again.
set -euo pipefail
umask 077

graph=%s
resource=%s
expected=%s
secrets=%s
secrets=${SECRETS_FILE:-$secrets}

errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

say() { printf '%%s\n' "$*" >&2; }

# Answers of Graph that pass: not replicated yet, another writer, throttled.
later='Request_ResourceNotFound|NoBackingApplicationObject|Directory_ConcurrencyViolation|CannotDeleteOrUpdateEnabledEntitlement'
later="$later"'|does not reference a valid application object|queried reference-property objects are not present|ot a valid reference update'
later="$later"'|acking application of the service principal|eferences applications|TooManyRequests|Too Many Requests|Service Unavailable|Gateway Timeout'
exists='Request_MultipleObjectsWithSameKeyValue|already exists'

# request METHOD PATH QUERY MODE [BODY]: MODE is upsert, mayexist or plain. Prints what QUERY finds.
request() {
  local method=$1 path=$2 query=$3 mode=$4 body=${5-} try=0 wait=2 out
  local args=(rest --method "$method" --url "$graph$path" --resource "$resource" --output tsv)
  if [ -n "$query" ]; then args+=(--query "$query"); fi
  if [ -n "$body" ]; then
    args+=(--body "$body" --headers 'Content-Type=application/json')
    if [ "$mode" = upsert ]; then args+=('Prefer=create-if-missing'); fi
  fi
  while :; do
    if out=$(az "${args[@]}" 2>"$errors"); then
      if [ -n "$query" ]; then printf '%%s\n' "$out"; fi
      return 0
    fi
    if [ "$mode" = mayexist ] && grep -Eq "$exists" "$errors"; then
      say '  it is there already'
      return 0
    fi
    if [ "$method" = DELETE ] && grep -q Request_ResourceNotFound "$errors"; then return 0; fi
    if [ "$try" -ge 9 ] || ! grep -Eq "$later" "$errors"; then
      cat "$errors" >&2
      say "failed: $method $path"
      return 1
    fi
    try=$((try + 1))
    sleep "$wait"
    if [ "$wait" -lt 16 ]; then wait=$((wait * 2)); fi
  done
}

# assign ANSWER NAME...: one line of the answer for each name. Fails if one is missing.
assign() {
  local answer=$1 name value
  shift
  while [ $# -gt 0 ]; do
    name=$1 value=${answer%%%%$'\n'*}
    if [ -z "$value" ] || [ "$value" = None ]; then return 1; fi
    printf -v "$name" '%%s' "$value"
    answer=${answer#"$value"}
    answer=${answer#$'\n'}
    shift
  done
}

# ids PATH QUERY NAME...: reads the ids, and waits until they are there.
ids() {
  local path=$1 query=$2 try=0 answer
  shift 2
  while :; do
    answer=$(request GET "$path" "$query" plain)
    if assign "$answer" "$@"; then return 0; fi
    if [ "$try" -ge 9 ]; then
      say "failed: $path has no $*"
      return 1
    fi
    try=$((try + 1))
    sleep 4
  done
}

tenant=$(az account show --query tenantId --output tsv)
if [ -n "$expected" ] && [ "$tenant" != "$expected" ]; then
  say "The Azure CLI is signed in to tenant $tenant; this is for $expected. Run: az login --tenant $expected"
  exit 1
fi
`

// A script names the shell variables of placeholders.
type script struct {
	names map[string]string // by placeholder
	taken map[string]bool
	order []string
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9]`)

// define makes a shell variable for a placeholder: id_api_appId for api.appId.
func (s *script) define(placeholder string) string {
	if name, ok := s.names[placeholder]; ok {
		return name
	}
	name := "id_" + notInName.ReplaceAllString(placeholder, "_")
	for s.taken[name] {
		name += "_"
	}
	s.names[placeholder], s.taken[name] = name, true
	s.order = append(s.order, placeholder)
	return name
}

// step writes a step: a line that says it, its request, and the reading of its ids.
func (s *script) step(w io.Writer, step Step) error {
	title, err := s.word(oneLine(step.Title))
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n# %s", oneLine(step.ID))
	if step.Permission != "" {
		fmt.Fprintf(w, ": needs %s (%s)", oneLine(step.Permission), oneLine(step.Role))
	}
	fmt.Fprintf(w, "\nsay %s\n", title)

	query, names, secret := s.captures(step.Captures)
	variables, read := strings.Join(names, " "), step.Read
	if step.Method == http.MethodGet && read == "" {
		read = step.Path
	}
	inAnswer, asked := read == "", ""
	if inAnswer {
		asked = query
	}
	request, err := s.request(step, asked)
	switch {
	case err != nil:
		return err
	case inAnswer && secret != "":
		s.secretStep(w, request, variables, secret)
	case inAnswer && len(names) > 0:
		fmt.Fprintf(w, "answer=$(%s)\nassign \"$answer\" %s\n", request, variables)
	case step.Method != http.MethodGet:
		fmt.Fprintln(w, request)
	}
	if inAnswer || len(names) == 0 {
		return nil
	}
	path, err := s.path(read)
	fmt.Fprintf(w, "ids %s %s %s\n", path, quote(query), variables)
	return err
}

// request returns the call that sends the step's request and prints what the query finds.
func (s *script) request(step Step, query string) (string, error) {
	path, err := s.path(step.Path)
	if err != nil {
		return "", err
	}
	mode := "plain"
	switch {
	case step.Upsert:
		mode = "upsert"
	case step.MayExist, step.Method == http.MethodPost: // a second run meets what the first has made
		mode = "mayexist"
	}
	call := "request " + quote(step.Method) + " " + path + " " + quote(query) + " " + mode
	if len(step.Body) == 0 {
		return call, nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, step.Body); err != nil {
		return "", fmt.Errorf("its body is not JSON: %w", err)
	}
	body, err := s.word(compact.String())
	return call + " \\\n  " + body, err
}

// path returns a path as a shell word.
func (s *script) path(path string) (string, error) {
	return s.word(strings.ReplaceAll(path, " ", "%20"))
}

// secretStep writes a step whose answer has a secret. The secret goes from the answer to the file,
// and is made once: a second run finds it there.
func (s *script) secretStep(w io.Writer, request, variables, secret string) {
	key, _, _ := strings.Cut(secret, ".")
	variable := SecretVariable(key)
	fmt.Fprintf(w, `if [ -f "$secrets" ] && grep -q '^%[1]s=' "$secrets"; then
  say "it is in $secrets already; for another, name another file: SECRETS_FILE"
else
  : >>"$secrets"
  chmod 600 "$secrets"
  answer=$(%[2]s)
  assign "$answer" %[3]s
  printf "%[1]s='%%s'\\n" "$%[4]s" >>"$secrets"
  unset answer %[4]s
  say "it is in $secrets"
fi
`, variable, request, variables, s.names[secret])
}

// captures returns a query for all captures at once, and their variables in its order.
func (s *script) captures(captures []Capture) (query string, names []string, secret string) {
	if len(captures) == 0 {
		return "", nil, ""
	}
	queries := make([]string, len(captures))
	for i, c := range captures {
		queries[i] = c.JMESPath()
		names = append(names, s.define(c.Name))
		if c.Secret {
			secret = c.Name
		}
	}
	return "[" + strings.Join(queries, ", ") + "]", names, secret
}

// word returns a shell word in which placeholders are variables and all else is literal.
func (s *script) word(text string) (string, error) {
	var b strings.Builder
	last := 0
	for _, at := range placeholders.FindAllStringIndex(text, -1) {
		name, ok := s.names[text[at[0]+2:at[1]-1]]
		if !ok {
			return "", fmt.Errorf("no step before it finds %s", text[at[0]:at[1]])
		}
		if at[0] > last {
			b.WriteString(quote(text[last:at[0]]))
		}
		b.WriteString(`"$` + name + `"`)
		last = at[1]
	}
	if last < len(text) {
		b.WriteString(quote(text[last:]))
	}
	return b.String(), nil
}

// quote returns a shell word that is the text, whatever characters it has.
func quote(text string) string {
	if needsNoQuotes.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
