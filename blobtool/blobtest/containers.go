package blobtest

import (
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// containerListing is the XML of List Containers.
type containerListing struct {
	XMLName         xml.Name          `xml:"EnumerationResults"`
	ServiceEndpoint string            `xml:",attr"`
	Prefix          string            `xml:",omitempty"`
	Marker          string            `xml:",omitempty"`
	MaxResults      string            `xml:",omitempty"`
	Containers      []listedContainer `xml:"Containers>Container"`
	NextMarker      string
}

type listedContainer struct {
	Name       string
	Properties struct {
		Modified              string `xml:"Last-Modified"`
		ETag                  string `xml:"Etag"`
		LeaseStatus           string
		LeaseState            string
		EncryptionScope       string `xml:"DefaultEncryptionScope"`
		DenyScopeOverride     bool   `xml:"DenyEncryptionScopeOverride"`
		HasImmutabilityPolicy bool
		HasLegalHold          bool
		VersionImmutability   bool `xml:"ImmutableStorageWithVersioningEnabled"`
	}
	Metadata *listedMap `xml:",omitempty"`
}

// listContainers answers List Containers.
func (x *exchange) listContainers() {
	q := x.r.URL.Query()
	limit, from, ok := x.pageOf(q)
	if !ok {
		return
	}
	page := containerListing{
		ServiceEndpoint: x.URL() + "/", Prefix: q.Get("prefix"), Marker: q.Get("marker"), MaxResults: q.Get("maxresults"),
	}
	for v := range strings.SplitSeq(q.Get("include"), ",") {
		if !slices.Contains([]string{"", "metadata", "deleted", "system"}, v) {
			x.invalidParameter("include")
			return
		}
	}
	withMetadata := slices.Contains(strings.Split(q.Get("include"), ","), "metadata")
	x.mu.Lock()
	for _, name := range slices.Sorted(maps.Keys(x.containers)) {
		if !strings.HasPrefix(name, page.Prefix) || name <= from.Name {
			continue
		}
		if len(page.Containers) == limit {
			page.NextMarker = marker{Name: page.Containers[limit-1].Name}.String()
			break
		}
		page.Containers = append(page.Containers, newListedContainer(name, x.containers[name], withMetadata))
	}
	x.mu.Unlock()
	x.writeXML(page)
}

func newListedContainer(name string, c *container, withMetadata bool) listedContainer {
	l := listedContainer{Name: name}
	p := &l.Properties
	p.Modified, p.ETag = httpTime(c.modified), c.etag // with quotes, unlike for blobs
	p.LeaseStatus, p.LeaseState, p.EncryptionScope = "unlocked", "available", "$account-encryption-key"
	p.HasImmutabilityPolicy, p.HasLegalHold = c.retention > 0, c.held
	if withMetadata {
		metadata := listedMap(maps.Clone(c.metadata))
		l.Metadata = &metadata
	}
	return l
}

// containerProperties answers Get Container Properties.
func (x *exchange) containerProperties() {
	c, ok := x.findContainer()
	if !ok {
		return
	}
	if x.r.Header.Get("X-Ms-Lease-Id") != "" {
		x.fail(http.StatusPreconditionFailed, "LeaseNotPresentWithContainerOperation", "There is currently no lease on the container.", "")
		return
	}
	h := x.w.Header()
	x.mu.Lock()
	h.Set("ETag", c.etag)
	h.Set("Last-Modified", httpTime(c.modified))
	for name, value := range c.metadata {
		h["x-ms-meta-"+name] = []string{value}
	}
	immutable, held := c.retention > 0, c.held
	x.mu.Unlock()
	h.Set("x-ms-lease-state", "available")
	h.Set("x-ms-lease-status", "unlocked")
	h.Set("x-ms-has-immutability-policy", strconv.FormatBool(immutable))
	h.Set("x-ms-has-legal-hold", strconv.FormatBool(held))
	x.w.WriteHeader(http.StatusOK)
}
