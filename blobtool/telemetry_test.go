package blobtool_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry/telemetrytest"
)

// observedWorld is a world whose tools tell a recorder.
func observedWorld(t *testing.T, change func(*blobtool.Options)) (*world, *telemetrytest.Recorder) {
	t.Helper()
	r := telemetrytest.New()
	w := newWorld(t, func(o *blobtool.Options) {
		o.TracerProvider, o.MeterProvider = r.TracerProvider(), r.MeterProvider()
		o.HTTPClient = &http.Client{Transport: untraced{t, o.HTTPClient.Transport}}
		if change != nil {
			change(o)
		}
	})
	t.Cleanup(func() {
		for _, fault := range r.Faults("docs", "hidden", ".txt", "127.0.0.1", "localhost", "devstore", "https:", "azure.com", "contoso",
			tenant.ID(), w.alice.ObjectID, w.bob.ObjectID, "x-ms", "needle", "eyJ", "downloads") {
			t.Error(fault)
		}
		for _, s := range r.Spans() {
			if s.Name != telemetry.SpanStorage && s.Name != telemetry.SpanSearch {
				t.Errorf("the span %q, want the storage's and the search's alone: the SDK's own are off", s.Name)
			}
		}
	})
	return w, r
}

// untraced checks that no trace context leaves the process.
type untraced struct {
	t    *testing.T
	next http.RoundTripper
}

func (u untraced) RoundTrip(r *http.Request) (*http.Response, error) {
	for _, name := range []string{"Traceparent", "Tracestate", "Baggage"} {
		if r.Header.Get(name) != "" {
			u.t.Errorf("a request to Azure has the header %s, want none", name)
		}
	}
	return u.next.RoundTrip(r)
}

func wantSeries(t *testing.T, r *telemetrytest.Recorder, m telemetry.Metric, set string, want float64) {
	t.Helper()
	if got, ok := r.Series(m.Name)[set]; !ok || got != want {
		t.Errorf("%s{%s} is %v (there: %v), want %v; all: %v", m.Name, set, got, ok, want, r.Series(m.Name))
	}
}

func TestTelemetryOfReading(t *testing.T) {
	t.Parallel()
	w, r := observedWorld(t, nil)
	for _, outcome := range []string{"ok", "refused", "error"} {
		wantSeries(t, r, telemetry.SavedCopies, "mcpentra.outcome="+outcome, 0)
	}
	for _, operation := range []string{"list_containers", "list_blobs", "find_by_tags", "get_tags", "get_blob", "get_properties"} {
		wantSeries(t, r, telemetry.StorageBytes, "mcpentra.operation="+operation, 0)
	}
	wantSeries(t, r, telemetry.SavedBytes, "", 0)
	w.storage.Put("docs", "hidden/a.txt", []byte("0123456789"), "text/plain")
	read(t, w.connect(t, "alice"), args{"blob_path": "hidden/a.txt"})
	calls := r.Named(telemetry.SpanStorage)
	if len(calls) != 1 {
		t.Fatalf("%d calls, want 1: %+v", len(calls), calls)
	}
	c := calls[0]
	if c.Kind != trace.SpanKindClient || !c.Has(telemetry.Operation, "get_blob") || !c.Has(telemetry.HTTPMethod, "GET") || !c.Has(telemetry.HTTPStatus, "206") || len(c.Attributes) != 3 {
		t.Errorf("call: %+v; want a client's get_blob with method and status 206 alone", c)
	}
	wantSeries(t, r, telemetry.StorageBytes, "mcpentra.operation=get_blob", 10)
	wantSeries(t, r, telemetry.StorageDuration, "mcpentra.operation=get_blob,mcpentra.status=2xx", 1)
	wantSeries(t, r, telemetry.SavedCopies, "mcpentra.outcome=ok", 1)
	wantSeries(t, r, telemetry.SavedBytes, "", 10)
}

func TestTelemetryOfWriting(t *testing.T) {
	t.Parallel()
	w, r := observedWorld(t, func(o *blobtool.Options) {
		o.DownloadDir, o.Write = "", &blobtool.WriteOptions{Allow: []string{"docs"}, Confirm: yes}
	})
	w.storage.GrantOwner(w.alice.ObjectID, "docs", "")
	session := w.connect(t, "alice")
	at := func(more args) args { more["blob_path"] = "hidden/a.txt"; return more }
	w.wrote(t, session, "append_blob", at(args{"create": true, "text": "needle"}))
	etag := w.wrote(t, session, "append_blob", at(args{"text": "needle"})).ETag
	etag = w.wrote(t, session, "set_metadata", at(args{"if_match": etag, "set": args{"needle": "x"}})).ETag
	w.wrote(t, session, "set_tags", at(args{"if_match": etag, "old_tags": args{}, "tags": args{"needle": "x"}}))
	w.wrote(t, session, "delete_blob", at(args{"if_match": etag}))
	for operation, n := range map[string]float64{"put_blob": 1, "append_block": 2, "set_metadata": 1, "get_tags": 1, "set_tags": 1, "delete_blob": 1, "get_properties": 4} {
		wantSeries(t, r, telemetry.StorageDuration, "mcpentra.operation="+operation+",mcpentra.status=2xx", n)
	}
	w.storage.PutAppend("docs", "hidden/a.txt", []byte("x"), "text/plain", 50_000)
	w.write(t, session, "append_blob", at(args{"text": "needle"}))
	calls := r.Named(telemetry.SpanStorage)
	if last := calls[len(calls)-2]; !last.Has(telemetry.ErrorType, "BlockCountExceedsLimit") { // the last looks
		t.Errorf("call: %+v; want error.type BlockCountExceedsLimit", last)
	}
}

func TestTelemetryOfCopying(t *testing.T) {
	t.Parallel()
	r := telemetrytest.New()
	w := newWorldOn(t, softDelete, func(o *blobtool.Options) {
		o.TracerProvider, o.MeterProvider = r.TracerProvider(), r.MeterProvider()
		o.DownloadDir, o.Write = "", &blobtool.WriteOptions{Allow: []string{"docs"}, Confirm: yes}
	})
	w.storage.GrantContributor(w.alice.ObjectID, "docs", "")
	w.storage.Put("docs", "source.txt", []byte("the content"), "text/plain")
	session := w.connect(t, "alice")
	one := w.wrote(t, session, "copy_blob", args{"source_path": "source.txt", "blob_path": "a.txt"})
	w.inBlocks()
	w.wrote(t, session, "copy_blob", args{"source_path": "source.txt", "blob_path": "b.txt"})
	w.wrote(t, session, "delete_blob", args{"blob_path": "a.txt", "if_match": one.ETag})
	w.wrote(t, session, "undelete_blob", args{"blob_path": "a.txt"})
	for operation, n := range map[string]float64{"put_blob_from_url": 1, "put_block_from_url": 3, "put_block_list": 1, "undelete_blob": 1} {
		wantSeries(t, r, telemetry.StorageDuration, "mcpentra.operation="+operation+",mcpentra.status=2xx", n)
	}
	wantSeries(t, r, telemetry.StorageDuration, "mcpentra.operation=get_block_list,mcpentra.status=4xx", 1)
	w.storage.Fail(blobtest.Fault{Operation: blobtest.OpPutBlockFromURL, Status: 412, Code: "SourceConditionNotMet"})
	w.write(t, session, "copy_blob", args{"source_path": "source.txt", "blob_path": "c.txt"})
	refused := 0 // blocks at the same time may be refused too, or canceled
	for _, call := range r.Named(telemetry.SpanStorage) {
		if call.Has(telemetry.Operation, "put_block_from_url") && call.Has(telemetry.ErrorType, "SourceConditionNotMet") {
			refused++
		}
	}
	if refused == 0 {
		t.Error("no call has the error.type SourceConditionNotMet")
	}
}

func TestTelemetryOfCopiesNotSaved(t *testing.T) {
	t.Parallel()
	w, r := observedWorld(t, func(o *blobtool.Options) { o.MaxFileBytes = 5 })
	w.storage.Put("docs", "hidden/a.txt", []byte("0123456789"), "text/plain")
	read(t, w.connect(t, "alice"), args{"blob_path": "hidden/a.txt"})
	wantSeries(t, r, telemetry.SavedCopies, "mcpentra.outcome=refused", 1)
	wantSeries(t, r, telemetry.SavedCopies, "mcpentra.outcome=ok", 0)
	wantSeries(t, r, telemetry.SavedBytes, "", 0)
}

// Each try has a span. Azure's code is shown if it is known.
func TestTelemetryOfTries(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		fault  blobtest.Fault
		code   string
		status string
		tries  int
	}{
		"busy":         {blobtest.Fault{Status: 503, Code: "ServerBusy"}, "ServerBusy", "5xx", 3},
		"forbidden":    {blobtest.Fault{Status: 403, Code: "AuthorizationPermissionMismatch"}, "AuthorizationPermissionMismatch", "4xx", 1},
		"unknown code": {blobtest.Fault{Status: 409, Code: "HiddenDocsOfContoso"}, telemetry.Other, "4xx", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, r := observedWorld(t, nil)
			w.storage.Put("docs", "hidden/a.txt", []byte("x"), "text/plain")
			w.storage.Fail(row.fault)
			if err := w.set.Locate("docs", "hidden/a.txt"); err != nil {
				t.Fatal(err)
			}
			if _, err := w.set.ReadBlob(t.Context(), "hidden/a.txt"); err == nil {
				t.Fatal("ReadBlob = nil, want an error")
			}
			calls := r.Named(telemetry.SpanStorage)
			for _, c := range calls {
				if !c.Has(telemetry.ErrorType, row.code) {
					t.Errorf("call: %+v; want error.type %s", c, row.code)
				}
			}
			if len(calls) != row.tries {
				t.Errorf("%d calls, want %d", len(calls), row.tries)
			}
			wantSeries(t, r, telemetry.StorageDuration, "mcpentra.operation=get_blob,mcpentra.status="+row.status, float64(row.tries))
		})
	}
}

func TestTelemetryOfAStalledTry(t *testing.T) {
	t.Parallel()
	w, r := observedWorld(t, nil)
	w.storage.Put("docs", "hidden/a.txt", []byte("x"), "text/plain")
	w.set.SetStall(time.Millisecond)
	w.storage.Fail(blobtest.Fault{Delay: time.Minute})
	if _, err := w.set.ReadBlob(t.Context(), "hidden/a.txt"); err == nil {
		t.Fatal("ReadBlob = nil, want an error")
	}
	if calls := r.Named(telemetry.SpanStorage); len(calls) != 1 || !calls[0].Has(telemetry.ErrorType, "stalled") {
		t.Errorf("calls: %+v; want one with error.type stalled", calls)
	}
	wantSeries(t, r, telemetry.StorageDuration, "mcpentra.operation=get_blob,mcpentra.status=none", 1)
}

func TestTelemetryOfSearches(t *testing.T) {
	t.Parallel()
	w, r := observedWorld(t, nil)
	for name := range strings.FieldsSeq("a b c d e f") {
		w.storage.Put("docs", "hidden/"+name+".txt", []byte("a needle"), "text/plain")
	}
	var wg sync.WaitGroup
	session := w.connect(t, "alice")
	wg.Go(func() { searchOn(t, session, args{"text": "needle"}) })
	for range 2 {
		wg.Go(func() {
			if _, _, err := w.set.Search(t.Context(), "needle"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	searches := map[trace.SpanID]int{}
	for _, s := range r.Named(telemetry.SpanSearch) {
		searches[s.Context.SpanID()] = 0
	}
	operations := map[string]int{}
	for _, s := range r.Named(telemetry.SpanStorage) {
		if _, ok := searches[s.Parent.SpanID()]; !ok {
			t.Errorf("call: %+v; want it below a search", s)
		}
		searches[s.Parent.SpanID()]++
		operations[s.Attributes[telemetry.Operation]]++
	}
	if len(searches) != 3 || operations["list_blobs"] != 3 || operations["get_blob"] != 8 || len(operations) != 2 {
		t.Errorf("searches %v with %v, want 3 with 3 list_blobs and 8 get_blob", searches, operations)
	}
	if _, _, err := w.set.Search(t.Context(), ""); err == nil {
		t.Fatal("Search = nil, want an error")
	}
	if last := r.Named(telemetry.SpanSearch)[3]; !last.Has(telemetry.ErrorType, "invalid_argument") {
		t.Errorf("search: %+v; want error.type invalid_argument", last)
	}
}
