package mcpentra

import (
	"errors"
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/internal/jsonspan"
)

// kind is the kind of a target.
type kind int

const (
	tool kind = iota
	resource
	prompt
	template
)

// A target is one thing that a request uses: a tool or prompt by name, a resource
// by URI, resources by their URI template.
type target struct {
	kind kind
	name string
}

// asked is the part of a request's parameters that names what it uses.
type asked struct {
	Name          string                                   // tools/call, prompts/get
	URI           string                                   // resources/read, subscribe, unsubscribe
	Ref           struct{ Type, Name, URI string }         // completion/complete
	Notifications struct{ ResourceSubscriptions []string } // subscriptions/listen
}

// appendTargets adds what a request of that method uses, which is nothing for most
// methods.
func (p *asked) appendTargets(all []target, method string) []target {
	switch method {
	case "tools/call":
		return append(all, target{tool, p.Name})
	case "prompts/get":
		return append(all, target{prompt, p.Name})
	case "resources/read", "resources/subscribe", "resources/unsubscribe":
		return append(all, target{resource, p.URI})
	case "completion/complete":
		switch {
		case p.Ref.Type == "ref/prompt":
			return append(all, target{prompt, p.Ref.Name})
		case strings.Contains(p.Ref.URI, "{"):
			return append(all, target{template, p.Ref.URI})
		}
		return append(all, target{resource, p.Ref.URI})
	case "subscriptions/listen":
		for _, uri := range p.Notifications.ResourceSubscriptions {
			all = append(all, target{resource, uri})
		}
	}
	return all
}

// Bounds on what one request may use, because each target is checked.
const (
	maxTargets     = 1000
	maxTargetBytes = 256 << 10
)

// errTargets means that a request uses too much.
var errTargets = fmt.Errorf("it names more than %d resources, or more than %d bytes of names", maxTargets, maxTargetBytes)

// checkTargets returns an error if the targets are more than a request may have.
func checkTargets(targets []target) error {
	size := 0
	for _, t := range targets {
		size += len(t.name)
	}
	if len(targets) > maxTargets || size > maxTargetBytes {
		return errTargets
	}
	return nil
}

// uses reports whether requests of that method use targets.
func uses(method string) bool {
	switch method {
	case "tools/call", "prompts/get", "resources/read", "resources/subscribe", "resources/unsubscribe",
		"completion/complete", "subscriptions/listen":
		return true
	}
	return false
}

// askedBy returns what a request that the SDK has read asks for.
func askedBy(req mcp.Request) asked {
	var a asked
	switch p := req.GetParams().(type) {
	case *mcp.CallToolParamsRaw:
		if p != nil {
			a.Name = p.Name
		}
	case *mcp.GetPromptParams:
		if p != nil {
			a.Name = p.Name
		}
	case *mcp.ReadResourceParams:
		if p != nil {
			a.URI = p.URI
		}
	case *mcp.SubscribeParams:
		if p != nil {
			a.URI = p.URI
		}
	case *mcp.UnsubscribeParams:
		if p != nil {
			a.URI = p.URI
		}
	case *mcp.CompleteParams:
		if p != nil && p.Ref != nil {
			a.Ref.Type, a.Ref.Name, a.Ref.URI = p.Ref.Type, p.Ref.Name, p.Ref.URI
		}
	case *mcp.SubscriptionsListenParams:
		if p != nil && p.Notifications != nil {
			a.Notifications.ResourceSubscriptions = p.Notifications.ResourceSubscriptions
		}
	}
	return a
}

var errParameters = errors.New("a parameter is of the wrong type")

// askedIn returns the same of the parameters of a message that the SDK has not read. As
// the SDK does, it takes the last of members that stand twice.
func askedIn(body []byte, params jsonspan.Span) (a asked, err error) {
	wrong := !isObject(body, params)
	for name, v := range jsonspan.Members(body, params) {
		switch string(name) {
		case "name":
			wrong = !setText(&a.Name, v.Of(body)) || wrong
		case "uri":
			wrong = !setText(&a.URI, v.Of(body)) || wrong
		case "ref":
			wrong = !isObject(body, v) || wrong
			for name, v := range jsonspan.Members(body, v) {
				switch string(name) {
				case "type":
					wrong = !setText(&a.Ref.Type, v.Of(body)) || wrong
				case "name":
					wrong = !setText(&a.Ref.Name, v.Of(body)) || wrong
				case "uri":
					wrong = !setText(&a.Ref.URI, v.Of(body)) || wrong
				}
			}
		case "notifications":
			wrong = !isObject(body, v) || wrong
			for name, v := range jsonspan.Members(body, v) {
				if string(name) == "resourceSubscriptions" { // of the wrong type, it is the SDK's to reject
					a.Notifications.ResourceSubscriptions = texts(body, v)
				}
			}
		}
	}
	if wrong {
		return asked{}, errParameters
	}
	return a, nil
}

func isObject(body []byte, v jsonspan.Span) bool {
	raw := v.Of(body)
	return len(raw) == 0 || raw[0] == '{' || string(raw) == "null"
}

// setText decodes a string. As encoding/json does, it leaves s where the value is null.
func setText(s *string, raw []byte) bool {
	if raw[0] == '"' {
		*s = jsonspan.String(raw)
		return true
	}
	return string(raw) == "null"
}

// texts returns the strings of a list.
func texts(body []byte, list jsonspan.Span) (all []string) {
	for v := range jsonspan.Elements(body, list) {
		var s string
		if setText(&s, v.Of(body)) {
			all = append(all, s)
		}
	}
	return all
}
