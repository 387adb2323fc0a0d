//go:build unix

package interop_test

import (
	"errors"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// tagged stores blobs with tags.
func (p *place) tagged() error {
	for name, tags := range map[string]map[string]string{
		"a": {"project": "x", "rank": "10"},
		"b": {"project": "y", "rank": "20"},
		"c": {"project": "x", "rank": "30", "due date": "2026-11-25"},
		"d": nil,
	} {
		if err := p.stock.put(p.ctx, p.container, name, []byte(name), blobtest.Properties{Tags: tags}); err != nil {
			return err
		}
	}
	return nil
}

func readTags(p *place) error {
	if err := p.tagged(); err != nil {
		return err
	}
	var errs []error
	for name, want := range map[string]string{"c": "due date=2026-11-25 project=x rank=30", "d": ""} {
		resp, err := p.blobs.NewBlobClient(name).GetTags(p.ctx, nil)
		if err != nil {
			return err
		}
		var got []string
		for _, tag := range resp.BlobTagSet {
			got = append(got, *tag.Key+"="+*tag.Value)
		}
		errs = append(errs, differs("tags of "+name, sorted(got), want))
		h, err := p.blobs.NewBlobClient(name).GetProperties(p.ctx, nil)
		if err != nil {
			return err
		}
		if h.TagCount != nil && name == "d" || name == "c" && (h.TagCount == nil || *h.TagCount != 3) {
			errs = append(errs, fmt.Errorf("the number of tags of %s: %v", name, h.TagCount))
		}
	}
	_, err := p.blobs.NewBlobClient("none").GetTags(p.ctx, nil)
	return errors.Join(append(errs, refusedWith("tags of nothing", err, 404, string(bloberror.BlobNotFound)))...)
}

// foundByTags are the blobs of a container that an expression finds there.
var foundByTags = map[string]string{
	`"project" = 'x'`:                    "a c",
	`"project" = 'x' AND "rank" > '10'`:  "c",
	`"rank" >= '10' AND "rank" < '30'`:   "a b",
	`"rank" <= '20'`:                     "a b",
	`"due date" = '2026-11-25'`:          "c",
	`"none" = 'x'`:                       "",
	`"project" = 'x' and "rank" <= '20'`: "a",
	`project = 'y'`:                      "b",
}

func findByTags(p *place) error {
	if err := p.tagged(); err != nil {
		return err
	}
	var errs []error
	for where, want := range foundByTags {
		inside, err := p.blobs.FilterBlobs(p.ctx, where, nil)
		if err != nil {
			return err
		}
		errs = append(errs, differs(where, foundNames(inside.Blobs), want))
		account, err := p.account.FilterBlobs(p.ctx, where+" AND @container = '"+p.container+"'", nil)
		if err != nil {
			return err
		}
		errs = append(errs, differs(where+", in the account", foundNames(account.Blobs), want))
	}
	one, err := p.blobs.FilterBlobs(p.ctx, `"due date" >= '2026'`, nil)
	if err != nil {
		return err
	}
	tags := one.Blobs[0].Tags.BlobTagSet
	if *one.Blobs[0].ContainerName != p.container || len(tags) != 1 || *tags[0].Key != "due date" || *tags[0].Value != "2026-11-25" {
		errs = append(errs, fmt.Errorf("found %+v", one.Blobs[0]))
	}
	for _, where := range []string{
		`"project" = x`, `"project" 'x'`, `"project" = 'x' AND`, `"project" = 'x' OR "rank" = '1'`, `"project" <> 'x'`,
		`@name = 'x'`, `"a;b" = 'x'`, `"project" = 'a;b'`,
	} {
		_, err := p.blobs.FilterBlobs(p.ctx, where, nil)
		errs = append(errs, refusedWith(where, err, 400, string(bloberror.InvalidQueryParameterValue)))
	}
	return errors.Join(errs...)
}

func findByNoRange(p *place) error {
	var errs []error
	for _, where := range []string{`"rank" > '1' AND "rank" >= '2'`, `"rank" = '1' AND "rank" = '2'`, `"rank" = '1' AND "rank" > '0'`} {
		_, err := p.blobs.FilterBlobs(p.ctx, where, nil)
		errs = append(errs, refusedWith(where, err, 400, string(bloberror.InvalidQueryParameterValue)))
	}
	return errors.Join(errs...)
}

func foundNames(blobs []*service.FilterBlobItem) string {
	var names []string
	for _, b := range blobs {
		names = append(names, *b.Name)
	}
	return sorted(names)
}

func findByTagsInPages(p *place) error {
	if err := p.tagged(); err != nil {
		return err
	}
	var errs []error
	for where, want := range foundByTags {
		var all []*service.FilterBlobItem
		marker, one := "", int32(1)
		for first := true; first || marker != ""; first = false {
			page, err := p.account.FilterBlobs(p.ctx, where, &service.FilterBlobsOptions{Marker: &marker, MaxResults: &one})
			if err != nil {
				return err
			}
			all = append(all, page.Blobs...)
			if marker = ""; page.NextMarker != nil {
				marker = *page.NextMarker
			}
		}
		errs = append(errs, differs(where, foundNames(all), want))
	}
	return errors.Join(errs...)
}
