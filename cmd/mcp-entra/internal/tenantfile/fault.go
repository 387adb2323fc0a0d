package tenantfile

import (
	"maps"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// endpoints are the endpoints' names in files and at the control endpoint.
var endpoints = map[string]entratest.Endpoint{
	"discovery": entratest.EndpointDiscovery, "keys": entratest.EndpointKeys, "token": entratest.EndpointToken,
	"authorize": entratest.EndpointAuthorize, "device": entratest.EndpointDevice, "logout": entratest.EndpointLogout,
	"graph": entratest.EndpointGraph, "managed-identity": entratest.EndpointManagedIdentity,
}

// Endpoint returns the endpoint with the name.
func Endpoint(name string) (entratest.Endpoint, bool) {
	e, ok := endpoints[name]
	return e, ok
}

// A FaultProblem is something wrong with a member of a fault.
type FaultProblem struct{ Key, Text string }

// Check returns what is wrong with the fault. It does not look its client and its user up.
func (f *FaultSpec) Check() []FaultProblem {
	var found []FaultProblem
	add := func(key, text string) { found = append(found, FaultProblem{key, text}) }
	if _, ok := endpoints[f.Endpoint]; !ok {
		add("endpoint", "expected one of: "+EndpointNames())
	}
	for key, n := range map[string]int{"skip": f.Skip, "times": f.Times, "cutAfter": f.CutAfter, "stallAfter": f.StallAfter, "delay": int(f.Delay), "retryAfter": int(f.RetryAfter)} {
		if n < 0 {
			add(key, "expected no negative value")
		}
	}
	if f.Status != 0 && (f.Status < 200 || f.Status > 599) {
		add("status", "expected a status from 200 to 599")
	}
	if f.AADSTS < 0 || f.AADSTS > 99_999_999 {
		add("aadsts", "expected the number of an AADSTS code, such as 50196")
	}
	if f.Method != "" && !slices.Contains([]string{"GET", "POST", "PATCH", "PUT", "DELETE"}, f.Method) {
		add("method", "expected GET, POST, PATCH, PUT or DELETE")
	}
	if !f.Drop && !f.LoseAnswer && f.GraphCode == "" && f.Status+f.AADSTS+f.CutAfter+f.StallAfter+int(f.Delay)+int(f.RetryAfter) == 0 && f.Body == "" {
		add("endpoint", "nothing goes wrong here; add one of: aadsts, graphCode, status, body, delay, drop, loseAnswer, cutAfter, stallAfter, retryAfter")
	}
	slices.SortFunc(found, func(a, b FaultProblem) int { return strings.Compare(a.Key, b.Key) })
	return found
}

// fault returns the fault for [entratest.Tenant.Fail], with the ids of its client and its user.
func (f *FaultSpec) fault(clientID, userID string) entratest.Fault {
	return entratest.Fault{
		ClientID: clientID, UserID: userID, Method: f.Method, LoseAnswer: f.LoseAnswer, GraphCode: f.GraphCode, Skip: f.Skip, Times: f.Times, Delay: f.Delay, Drop: f.Drop,
		CutAfter: int64(f.CutAfter), StallAfter: int64(f.StallAfter), Status: f.Status, AADSTS: f.AADSTS,
		Suberror: f.Suberror, Claims: f.Claims, Body: f.Body, ContentType: f.ContentType, RetryAfter: f.RetryAfter,
	}
}

// Endpoints returns all endpoints.
func Endpoints() []entratest.Endpoint { return slices.Collect(maps.Values(endpoints)) }

// EndpointNames returns their names, for messages.
func EndpointNames() string {
	return strings.Join(slices.Sorted(maps.Keys(endpoints)), ", ")
}
