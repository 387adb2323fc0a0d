package blobtool_test

import (
	"maps"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// Other programs copy metadata, the marker among them, and headers with their MD5. What they leave
// is not called this call's, whatever it has in common with it.
func TestWriteBlobCopiedMarker(t *testing.T) {
	t.Parallel()
	update := func(change func(*blobtest.Properties)) func(*world) {
		return func(w *world) { w.storage.Update("docs", "a.txt", change) }
	}
	replace := func(content string, change func(p *blobtest.Properties, before blobtest.Properties)) func(*world) {
		return func(w *world) {
			var before blobtest.Properties
			update(func(p *blobtest.Properties) { before = *p })(w)
			w.storage.Put("docs", "a.txt", []byte(content), before.ContentType)
			update(func(p *blobtest.Properties) { p.Metadata = before.Metadata; change(p, before) })(w)
		}
	}
	for name, other := range map[string]func(*world){
		"other content":         replace("other's", func(*blobtest.Properties, blobtest.Properties) {}),
		"blocks, without MD5":   replace("two", func(p *blobtest.Properties, _ blobtest.Properties) { p.MD5 = nil }),
		"blocks, with that MD5": replace("two", func(p *blobtest.Properties, before blobtest.Properties) { p.MD5 = before.MD5 }),
		"more metadata": update(func(p *blobtest.Properties) {
			p.Metadata = maps.Clone(p.Metadata)
			p.Metadata["more"] = "x"
		}),
		"less metadata": update(func(p *blobtest.Properties) {
			p.Metadata = maps.Clone(p.Metadata)
			delete(p.Metadata, "a")
		}),
		"another type":     update(func(p *blobtest.Properties) { p.ContentType = "image/png" }),
		"another language": update(func(p *blobtest.Properties) { p.ContentLanguage = "ja" }),
	} {
		for _, tool := range []string{"write_blob", "edit_blob"} {
			w := newWriteWorld(t, nil, nil)
			session := w.connect(t, "alice")
			looks, a := 1, args{"blob_path": "a.txt", "text": "new", "metadata": args{"a": "1"}}
			if tool == "edit_blob" {
				w.storage.Put("docs", "a.txt", []byte("old"), "text/plain")
				update(func(p *blobtest.Properties) { p.Metadata = map[string]string{"a": "1"} })(w)
				a = args{"blob_path": "a.txt", "old_text": "old", "new_text": "new"}
			}
			onNth(w, blobtest.OpGetBlobProperties, looks, func() { other(w) })
			w.storage.Fail(blobtest.Fault{Operation: blobtest.OpPutBlob, Served: true, Drop: true, Times: 1})
			if out := w.write(t, session, tool, a); out.Outcome != "unknown" {
				t.Errorf("%s, %s: got %+v, want unknown", tool, name, out)
			}
		}
	}
}

// The same for an upload in pieces, also if its last call is repeated later.
func TestUploadCopiedMarker(t *testing.T) {
	t.Parallel()
	for _, repeated := range []bool{false, true} {
		w := newWriteWorld(t, nil, func(o *blobtool.WriteOptions) { o.MaxBytes = 2 << 20 })
		session := w.connect(t, "alice")
		first := w.wrote(t, session, "write_blob", args{"blob_path": "a.txt", "text": "one", "more": true})
		last := goesOn(first, args{"blob_path": "a.txt", "text": "two"})
		other := func() {
			var before blobtest.Properties
			w.storage.Update("docs", "a.txt", func(p *blobtest.Properties) { before = *p })
			w.storage.Put("docs", "a.txt", []byte("others"), before.ContentType)
			w.storage.Update("docs", "a.txt", func(p *blobtest.Properties) { p.Metadata, p.MD5 = before.Metadata, before.MD5 })
		}
		want := "unknown"
		if repeated {
			w.wrote(t, session, "write_blob", last)
			other()
			want = "refused"
		} else {
			w.storage.Fail(blobtest.Fault{Operation: blobtest.OpPutBlockList, Served: true, Drop: true, Times: 1})
			onNth(w, blobtest.OpGetBlobProperties, 2, other)
		}
		if out := w.write(t, session, "write_blob", last); out.Outcome != want {
			t.Errorf("repeated %t: got %+v, want %s", repeated, out, want)
		}
	}
}
