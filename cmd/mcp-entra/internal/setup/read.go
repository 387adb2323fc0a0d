package setup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/mcpentra/mcp-entra-go/internal/knownclients"
)

// maxSpec bounds the YAML file, in bytes.
const maxSpec = 256 << 10

// A reader reads a spec from YAML. It collects all faults, each with its line.
type reader struct {
	file   string
	spec   Spec
	faults []error
}

// Read reads a spec from YAML. The error joins all that is wrong with it, with file and line.
func Read(file string, data []byte) (Spec, error) {
	r := &reader{file: file, spec: Spec{Cloud: "public"}}
	if len(data) > maxSpec {
		return Spec{}, fmt.Errorf("%s has %d bytes; at most %d", file, len(data), maxSpec)
	}
	var document yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	err := decoder.Decode(&document)
	if err != nil && !errors.Is(err, io.EOF) { // EOF: it is empty
		return Spec{}, fmt.Errorf("%s is not YAML: %s", file, parseFault(err))
	}
	if err == nil && !errors.Is(decoder.Decode(new(yaml.Node)), io.EOF) {
		return Spec{}, fmt.Errorf("%s has more than one document: put all into one", file)
	}
	root := &document
	if root.Kind == yaml.DocumentNode && len(root.Content) == 1 {
		root = root.Content[0]
	}
	if root.Kind != yaml.MappingNode {
		return Spec{}, fmt.Errorf("%s: want a mapping with name and servers, as mcp-entra setup -h shows", file)
	}
	r.root(root)
	if len(r.faults) == 0 {
		r.spec.lowerIDs()
		for _, err := range r.spec.check() {
			r.faults = append(r.faults, fmt.Errorf("%s: %w", file, err))
		}
	}
	return r.spec, errors.Join(r.faults...)
}

// parseFault is the parser's error without what it quotes of the file.
func parseFault(err error) string {
	line := 1
	if at, ok := errors.AsType[*yaml.LoadError](err); ok {
		line = max(at.Mark.Line, 1)
	}
	return fmt.Sprintf("line %d: the indentation, a quote or a colon is wrong", line)
}

func (r *reader) fault(n *yaml.Node, format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf("%s:%d: %w", r.file, n.Line, fmt.Errorf(format, args...)))
}

// fields reads a mapping whose keys are those of the readers.
func (r *reader) fields(n *yaml.Node, what string, readers map[string]func(key string, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.fault(n, "%s must be a mapping with %s", what, strings.Join(slices.Sorted(maps.Keys(readers)), ", "))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read, ok := readers[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode || !ok:
			r.fault(key, "%s has no key %s%s", what, shown(key.Value), nearestOf(key.Value, slices.Collect(maps.Keys(readers))))
		case seen[key.Value] > 0:
			r.fault(key, "%s stands here and in line %d", key.Value, seen[key.Value])
		default:
			seen[key.Value] = key.Line
			read(key.Value, value)
		}
	}
}

// text returns a reader of one text, which must pass the check.
func (r *reader) text(into *string, check func(string) error) func(string, *yaml.Node) {
	return func(key string, n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
			r.fault(n, "%s must be one text", key)
			return
		}
		if err := check(n.Value); err != nil {
			r.fault(n, "%s %w", key, err)
			return
		}
		*into = n.Value
	}
}

// texts returns a reader of a text or a list of texts.
func (r *reader) texts(into *[]string, check func(string) error) func(string, *yaml.Node) {
	return func(key string, n *yaml.Node) {
		items := []*yaml.Node{n}
		if n.Kind == yaml.SequenceNode {
			items, *into = n.Content, []string{}
		}
		for _, item := range items {
			var s string
			r.text(&s, check)(key, item)
			if s != "" && slices.Contains(*into, s) {
				r.fault(item, "%s stands twice in %s", shown(s), key)
			} else if s != "" {
				*into = append(*into, s)
			}
		}
	}
}

func (r *reader) flag(into *bool) func(string, *yaml.Node) {
	return func(key string, n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.Value != "true" && n.Value != "false" {
			r.fault(n, "%s must be true or false", key)
			return
		}
		*into = n.Value == "true"
	}
}

// list returns a reader of a list.
func (r *reader) list(item func(*yaml.Node)) func(string, *yaml.Node) {
	return func(key string, n *yaml.Node) {
		if n.Kind != yaml.SequenceNode {
			r.fault(n, "%s must be a list: lines that begin with a hyphen", key)
			return
		}
		for _, i := range n.Content {
			item(i)
		}
	}
}

func (r *reader) root(n *yaml.Node) {
	s := &r.spec
	var people string
	r.fields(n, "the file", map[string]func(string, *yaml.Node){
		"name":         r.text(&s.Name, checkName),
		"display-name": r.text(&s.DisplayName, checkText),
		"tenant":       r.text(&s.Tenant, checkID),
		"cloud":        r.text(&s.Cloud, checkCloud),
		"audience":     r.text(&people, checkAudience),
		"adopt":        r.text(&s.Adopt, checkID),
		"servers":      r.texts(&s.Servers, checkServer),
		"landing":      r.texts(&s.Landing, func(s string) error { return checkRedirect(s, knownclients.Web) }),
		"resources":    r.list(r.resource),
		"clients":      r.list(r.client),
		"roles":        r.list(r.role),
		"proof":        r.proof,
		"exclusive":    r.flag(&s.Exclusive),
	})
	s.MultiTenant = people == "multiple"
}

func checkAudience(s string) error {
	if s != "single" && s != "multiple" {
		return fmt.Errorf("is %s; use single (users of this tenant) or multiple (users of any tenant)", shown(s))
	}
	return nil
}

// pair reads an item such as "graph: User.Read", whose value is a text or a list.
func (r *reader) pair(n *yaml.Node, check func(string) error) (name string, values []string, ok bool) {
	before := len(r.faults)
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag != "!!null":
		return n.Value, nil, true
	case n.Kind == yaml.MappingNode && len(n.Content) == 2 && n.Content[0].Kind == yaml.ScalarNode:
		name = n.Content[0].Value
		r.texts(&values, check)(shown(name), spaced(n.Content[1]))
		return name, values, len(r.faults) == before
	}
	r.fault(n, "want a name, or a name with a value: graph: User.Read")
	return "", nil, false
}

// spaced makes a list of a text with spaces or commas.
func spaced(n *yaml.Node) *yaml.Node {
	if n.Kind != yaml.ScalarNode || !strings.ContainsAny(n.Value, ", ") {
		return n
	}
	list := &yaml.Node{Kind: yaml.SequenceNode, Line: n.Line}
	for _, s := range splitList(n.Value) {
		list.Content = append(list.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Line: n.Line})
	}
	return list
}

func splitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

func (r *reader) resource(n *yaml.Node) {
	name, scopes, ok := r.pair(n, checkScope)
	if !ok {
		return
	}
	if err := checkResource(name); err != nil {
		r.fault(n, "the resource %w", err)
		return
	}
	found, err := resource(name, scopes)
	if err != nil {
		r.fault(n, "%w", err)
		return
	}
	r.spec.Resources = append(r.spec.Resources, found)
}

func (r *reader) client(n *yaml.Node) {
	if n.Kind == yaml.MappingNode && slices.ContainsFunc(n.Content, func(k *yaml.Node) bool { return k.Value == "name" }) {
		r.ownClient(n)
		return
	}
	id, redirects, ok := r.pair(n, checkPlain)
	if !ok {
		return
	}
	c, err := known(id, redirects)
	if err != nil {
		r.fault(n, "%w", err)
		return
	}
	r.spec.Clients = append(r.spec.Clients, c)
}

func (r *reader) ownClient(n *yaml.Node) {
	var c Client
	var platform string
	var redirects []string
	before := len(r.faults)
	r.fields(n, "a client", map[string]func(string, *yaml.Node){
		"name":        r.text(&c.ID, checkName),
		"platform":    r.text(&platform, checkPlatform),
		"redirects":   r.texts(&redirects, checkPlain),
		"device-code": r.flag(&c.DeviceCode),
		"app-id":      r.text(&c.AppID, checkID),
	})
	if len(r.faults) > before {
		return
	}
	c.Platform, c.Redirects = platforms[platform], redirects
	if err := c.check(); err != nil {
		r.fault(n, "%w", err)
		return
	}
	r.spec.Clients = append(r.spec.Clients, c)
}

func (r *reader) role(n *yaml.Node) {
	var role Role
	members := []string{"users"}
	r.fields(n, "a role", map[string]func(string, *yaml.Node){
		"value":       r.text(&role.Value, checkScope),
		"description": r.text(&role.Description, checkText),
		"for": func(key string, n *yaml.Node) {
			members = nil
			r.texts(&members, checkMember)(key, n)
		},
		"assign": r.texts(&role.Assign, checkID),
	})
	role.Users, role.Applications = slices.Contains(members, "users"), slices.Contains(members, "applications")
	if role.Value == "" {
		r.fault(n, "a role needs a value, such as Files.Admin")
		return
	}
	r.spec.Roles = append(r.spec.Roles, role)
}

func checkMember(s string) error {
	if s != "users" && s != "applications" {
		return fmt.Errorf("is %s; use users, applications, or both", shown(s))
	}
	return nil
}

func (r *reader) proof(_ string, n *yaml.Node) {
	p := &r.spec.Proof
	r.fields(n, "proof", map[string]func(string, *yaml.Node){
		"managed-identity": r.text(&p.ManagedIdentity, checkID),
		"workload-identity": func(_ string, n *yaml.Node) {
			p.Workload = &WorkloadIdentity{}
			r.fields(n, "workload-identity", map[string]func(string, *yaml.Node){
				"issuer":          r.text(&p.Workload.Issuer, checkIssuer),
				"namespace":       r.text(&p.Workload.Namespace, checkKubernetes),
				"service-account": r.text(&p.Workload.ServiceAccount, checkKubernetes),
			})
		},
		"certificate": r.text(&p.Certificate, checkPath),
		"secret": func(key string, n *yaml.Node) {
			if n.Kind != yaml.ScalarNode || n.Value != "true" && n.Value != "false" {
				r.fault(n, "secret must be true or false (its value is not shown: a secret never stands in this file; if one did, make a new one)")
				return
			}
			r.flag(&p.Secret)(key, n)
		},
	})
}
