package blobtest

import (
	"cmp"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// What a request gives a blob besides its content: headers, metadata, tags and tier.

// blobHeaders set HTTP headers of a blob.
var blobHeaders = []string{
	"X-Ms-Blob-Content-Type", "X-Ms-Blob-Content-Encoding", "X-Ms-Blob-Content-Language", "X-Ms-Blob-Content-Disposition",
	"X-Ms-Blob-Cache-Control", "X-Ms-Blob-Content-Md5",
}

// givenHeaders returns the blob's headers in the request. Put Blob also takes those of the request
// itself.
func (x *exchange) givenHeaders() (Properties, *refusal) {
	h := x.r.Header
	p := Properties{
		ContentType: h.Get("X-Ms-Blob-Content-Type"), ContentEncoding: h.Get("X-Ms-Blob-Content-Encoding"),
		ContentLanguage: h.Get("X-Ms-Blob-Content-Language"), ContentDisposition: h.Get("X-Ms-Blob-Content-Disposition"),
		CacheControl: h.Get("X-Ms-Blob-Cache-Control"),
	}
	if x.operation == OpPutBlob {
		p.ContentType = cmp.Or(p.ContentType, h.Get("Content-Type"))
		p.ContentEncoding = cmp.Or(p.ContentEncoding, h.Get("Content-Encoding"))
		p.ContentLanguage = cmp.Or(p.ContentLanguage, h.Get("Content-Language"))
		p.CacheControl = cmp.Or(p.CacheControl, h.Get("Cache-Control"))
	}
	sum, r := x.givenHash("X-Ms-Blob-Content-Md5", 16, "InvalidMd5")
	p.MD5 = sum
	return p, r
}

// given returns the blob's headers, metadata, tags and tier in the request.
func (x *exchange) given() (p Properties, r *refusal) {
	if p, r = x.givenHeaders(); r != nil {
		return p, r
	}
	if p.Metadata, r = x.givenMetadata(); r != nil {
		return p, r
	}
	if p.Tags, r = x.givenTags(); r != nil {
		return p, r
	}
	p.Tier = x.r.Header.Get("X-Ms-Access-Tier")
	if !slices.Contains([]string{"", "Hot", "Cool", "Cold", "Smart", "Archive"}, p.Tier) {
		return p, invalidValue("x-ms-access-tier")
	}
	return p, nil
}

const metadataPrefix = "X-Ms-Meta-"

// maxMetadata is the maximum size of all names and values.
const maxMetadata = 8 << 10

// metadataName matches C# identifiers as far as a header can hold them.
var metadataName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// givenMetadata returns the request's metadata, nil if there are none. Values are ASCII; whether
// Azure takes others is unknown. Names are in lower case, because net/http does not keep their
// spelling; Azure does.
func (x *exchange) givenMetadata() (map[string]string, *refusal) {
	var metadata map[string]string
	size := 0
	for header, values := range x.r.Header {
		name, ok := strings.CutPrefix(header, metadataPrefix)
		if !ok {
			continue
		}
		switch {
		case name == "":
			return nil, &refusal{http.StatusBadRequest, "EmptyMetadataKey", "The key for one of the metadata key-value pairs is empty."}
		case !metadataName.MatchString(name), len(values) > 1, strings.ContainsFunc(values[0], func(r rune) bool { return r < ' ' || r > '~' }):
			return nil, &refusal{http.StatusBadRequest, "InvalidMetadata", "The metadata specified is invalid. It has characters that are not permitted."}
		}
		size += len(name) + len(values[0])
		if metadata == nil {
			metadata = map[string]string{}
		}
		metadata[strings.ToLower(name)] = values[0]
	}
	if size > maxMetadata {
		return nil, &refusal{http.StatusBadRequest, "MetadataTooLarge", "The size of the specified metadata exceeds the maximum size permitted."}
	}
	return metadata, nil
}

// maxTags is the maximum number of tags of a blob.
const maxTags = 10

var (
	tagKey   = regexp.MustCompile(`^[a-zA-Z0-9 +\-.:=_/]{1,128}$`)
	tagValue = regexp.MustCompile(`^[a-zA-Z0-9 +\-.:=_/]{0,256}$`)
)

// givenTags parses x-ms-tags, which has the form of a query; nil if there are none.
func (x *exchange) givenTags() (map[string]string, *refusal) {
	v := x.r.Header.Get("X-Ms-Tags")
	if v == "" {
		return nil, nil
	}
	q, err := url.ParseQuery(v)
	if err != nil {
		return nil, invalidValue("x-ms-tags")
	}
	var tags []listedTag
	for key, values := range q {
		for _, value := range values {
			tags = append(tags, listedTag{key, value})
		}
	}
	return checkTags(tags)
}

// checkTags returns the tags if they are valid. Whether Azure has a code of its own for a key or
// value that is too long is unknown.
func checkTags(given []listedTag) (map[string]string, *refusal) {
	tags := map[string]string{}
	if len(given) > maxTags {
		return nil, &refusal{http.StatusBadRequest, "TagsTooLarge", "The tags specified exceed the maximum permissible limit."}
	}
	for _, t := range given {
		switch _, twice := tags[t.Key]; {
		case t.Key == "":
			return nil, &refusal{http.StatusBadRequest, "EmptyTagName", "The name of one of the tag key-value pairs is empty."}
		case twice:
			return nil, &refusal{http.StatusBadRequest, "DuplicateTagNames", "The tags specified contain duplicate names."}
		case !tagKey.MatchString(t.Key), !tagValue.MatchString(t.Value):
			return nil, &refusal{http.StatusBadRequest, "InvalidTag", "The tags specified are invalid. It contains characters that are not permitted."}
		}
		tags[t.Key] = t.Value
	}
	return tags, nil
}
