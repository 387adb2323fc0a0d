package serverconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/resourceuri"
)

// A ToolPolicy is what callers of the tools that match the pattern need besides the scope that all
// callers need.
type ToolPolicy struct {
	Pattern string
	Policy  entraauth.Policy
}

// readToolPolicies reads TOOL_POLICIES: the policies themselves, or the path of a file that has
// them. A path has no equals sign, and each policy has one.
//
// A policy is a line, or what is between semicolons: the name of a tool, or the beginning of names
// and a star, and requirements, all of which must hold. Values are separated by commas.
//
//	# to read blobs
//	read_blob_with_token  scopes=Files.Read  auth_context=c1
//	get_*                 roles=Reader,Admin
func (v *variables) readToolPolicies(c *Config) {
	const name = "TOOL_POLICIES"
	text := v.raw(name)
	where := v.place(name)
	lineOf := func(number int) string { return fmt.Sprintf("%s, line %d", where, number) }
	if strings.TrimSpace(text) != "" && !strings.Contains(text, "=") {
		path := strings.TrimSpace(text)
		content, err := readBounded(path)
		if err == nil && content == nil {
			err = os.ErrNotExist
		}
		if pathError, ok := errors.AsType[*fs.PathError](err); ok {
			err = pathError.Err // without the name, which may be anything
		}
		if err != nil {
			v.fault(name, fmt.Sprintf("has no policy such as secure_ping roles=Reader, so it names a file, which can't be read: %v", err),
				"Name a file with a policy on each line, or write the policies into the variable")
			return
		}
		text = strings.TrimPrefix(string(content), "\uFEFF") // Windows editors write a byte order mark
		lineOf = func(number int) string { return fmt.Sprintf("%s:%d", path, number) }
	}
	number, faulty := 0, false
	for line := range strings.Lines(text) {
		number++
		line, _, _ = strings.Cut(line, "#")
		for part := range strings.SplitSeq(line, ";") {
			policy, err := parsePolicy(strings.Fields(part))
			if err == nil {
				err = v.checkAgentUsers(c, policy.Policy.AgentUsers)
			}
			if err != nil {
				faulty = true
				v.add(lineOf(number), strings.ReplaceAll(err.Error(), "\n", "; "), policyRemedy)
			} else if policy.Pattern != "" {
				c.ToolPolicies = append(c.ToolPolicies, policy)
			}
		}
	}
	if !faulty && len(c.ToolPolicies) == 0 && v.text(name) != "" {
		c.Warnings = append(c.Warnings, where+" has no policy, so no tool needs more than the scope")
	}
}

// checkAgentUsers rejects other values of the configuration among a policy's agent users.
func (v *variables) checkAgentUsers(c *Config, ids []string) error {
	for _, id := range ids {
		if err := v.checkAgentUser(c, id); err != nil {
			return fmt.Errorf("agent_users %w", err)
		}
	}
	return nil
}

const policyRemedy = "Write a policy as TOOL requirement=value,value …, such as read_blob_with_token scopes=Files.Read roles=Reader auth_context=c1"

// parsePolicy parses a policy. Without words there is none.
func parsePolicy(words []string) (ToolPolicy, error) {
	if len(words) == 0 {
		return ToolPolicy{}, nil
	}
	p := ToolPolicy{Pattern: words[0]}
	faults := []error{checkPattern(p.Pattern)}
	seen := map[string]bool{}
	for _, word := range words[1:] {
		key, values, ok := strings.Cut(word, "=")
		switch set := requirements[key]; {
		case !ok:
			faults = append(faults, fmt.Errorf("%q is not a requirement", Shorten(word)))
		case set == nil:
			faults = append(faults, fmt.Errorf("%q is not known; use one of %s", Shorten(key), strings.Join(requirementNames, ", ")))
		case seen[key]:
			faults = append(faults, fmt.Errorf("%s is there twice; separate its values by commas", key))
		default:
			seen[key] = true
			faults = append(faults, set(&p.Policy, strings.Split(values, ",")))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return p, err
	}
	var err error
	p.Policy, err = p.Policy.Validated()
	return p, err
}

// checkPattern accepts a pattern that some tool of the server matches.
func checkPattern(pattern string) error {
	parsed, err := resourceuri.ParseNamePattern(pattern)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(Tools, func(tool string) bool { return parsed.Matches(tool) }) {
		return fmt.Errorf("no tool matches %q; there are %s", Shorten(pattern), strings.Join(Tools, ", "))
	}
	return nil
}

// requirementNames are the keys of requirements, in the order of the documentation.
var requirementNames = []string{"scopes", "any_scope", "roles", "groups", "clients", "client_auth", "auth_context", "agent_users", "people_only"}

// requirements set a member of a policy from the values of its key. There is none for app roles, nor
// for agents on their own: the server refuses applications, since its tools are about users.
var requirements = map[string]func(*entraauth.Policy, []string) error{
	"scopes":    func(p *entraauth.Policy, values []string) error { p.Scopes = values; return nil },
	"any_scope": func(p *entraauth.Policy, values []string) error { p.AnyScope = values; return nil },
	"roles":     func(p *entraauth.Policy, values []string) error { p.UserRoles = values; return nil },
	"groups":    func(p *entraauth.Policy, values []string) error { p.Groups = values; return nil },
	"clients":   func(p *entraauth.Policy, values []string) error { p.Clients = values; return nil },
	"client_auth": func(p *entraauth.Policy, values []string) error {
		switch strings.Join(values, ",") {
		case "secret":
			p.ClientAuth = entraauth.ClientAuthSecret
		case "certificate":
			p.ClientAuth = entraauth.ClientAuthCertificate
		default:
			return errors.New("client_auth is neither secret nor certificate")
		}
		return nil
	},
	"agent_users": func(p *entraauth.Policy, values []string) error { p.AgentUsers = values; return nil },
	"people_only": func(p *entraauth.Policy, values []string) error {
		if p.PeopleOnly = strings.Join(values, ",") == "true"; !p.PeopleOnly {
			return errors.New("people_only has no other value than true; leave it out to let people through agents in")
		}
		return nil
	},
	"auth_context": func(p *entraauth.Policy, values []string) error {
		if p.AuthContext = strings.Join(values, ","); p.AuthContext == "" {
			return errors.New("auth_context is empty; use one of c1 to c99")
		}
		return nil
	},
}
