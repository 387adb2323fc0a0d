package blobtest

import (
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
)

// blobTags answers Get Blob Tags.
func (x *exchange) blobTags() {
	b, _, ok := x.findBlob()
	if !ok || x.unmet(b) {
		return
	}
	if r := x.unmetWrite(tagsConditions, b); r != nil { // also for If-None-Match, where Azure's status is unknown
		x.refuse(r)
		return
	}
	x.writeXML(struct {
		XMLName xml.Name `xml:"Tags"`
		*listedTags
	}{listedTags: newListedTags(b.Tags)})
}

// foundBlobs is the XML of Find Blobs by Tags.
type foundBlobs struct {
	XMLName         xml.Name `xml:"EnumerationResults"`
	ServiceEndpoint string   `xml:",attr"`
	Where           string
	Blobs           []foundBlob `xml:"Blobs>Blob"`
	NextMarker      string
}

type foundBlob struct {
	Name          listedName
	ContainerName string
	Tags          *listedTags
}

// findByTags answers Find Blobs by Tags, in the account or in one container. It finds only current
// blobs: versions and snapshots are not indexed.
func (x *exchange) findByTags() {
	q := x.r.URL.Query()
	expression, err := parseWhere(q.Get("where"))
	if err != nil {
		x.fail(http.StatusBadRequest, "InvalidQueryParameterValue",
			"Error parsing query at or near character position 1: "+err.Error(), "")
		return
	}
	if x.operation == OpFindBlobsByTagsContainer {
		if _, ok := x.findContainer(); !ok {
			return
		}
	}
	limit, from, ok := x.pageOf(q)
	if !ok {
		return
	}
	page := foundBlobs{ServiceEndpoint: x.URL() + "/", Where: q.Get("where")}
	x.mu.Lock()
	page.fill(x, expression, from, limit)
	x.mu.Unlock()
	x.writeXML(page)
}

// fill adds up to limit blobs to the page, starting at the marker.
func (p *foundBlobs) fill(x *exchange, expression where, from marker, limit int) {
	last := from.Name // container and name, the sort key
	for _, container := range slices.Sorted(maps.Keys(x.containers)) {
		if x.container != "" && container != x.container {
			continue
		}
		c := x.containers[container]
		for _, name := range c.names() {
			h := c.blobs[name]
			place := container + "\x00" + name
			if h.current == nil || place <= from.Name || !expression.matches(container, h.current.Tags) {
				continue
			}
			if len(p.Blobs) == limit {
				p.NextMarker = marker{Name: last}.String()
				return
			}
			p.Blobs = append(p.Blobs, foundBlob{encodeName(name), container, newListedTags(expression.shown(h.current.Tags))})
			last = place
		}
	}
}
