//go:build unix

package interop_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

// TestBlobWrites tries one table of what blobtool's writing tools do on blobtest and on Azurite,
// through a proxy that can cut connections.
func TestBlobWrites(t *testing.T) {
	t.Parallel()
	newBlobAccounts(deadline(t, 4*time.Minute), t).try(t, "writes", toolWrites)
}

// A writer is the user of the writing tools at a place.
type writer struct {
	*place
	client     *toolClient
	disconnect func()
	cutter     *cutter
}

// byTools makes a behavior of what a writer does.
func byTools(do func(*writer) error) func(*place) error {
	return func(p *place) error {
		w, err := p.writer()
		if err != nil {
			return err
		}
		defer w.close()
		return do(w)
	}
}

// byToolsDirectly is byTools without a proxy, whose URL the service would not know as its own: it
// reads the source of a copy there.
func byToolsDirectly(do func(*writer) error) func(*place) error {
	return func(p *place) error {
		w, err := p.writerAt(p.url, p.http)
		if err != nil {
			return err
		}
		defer w.close()
		return do(w)
	}
}

// writer connects a client to tools that may write in the place's container, through a proxy.
func (p *place) writer() (*writer, error) {
	u, err := url.Parse(p.url)
	if err != nil {
		return nil, err
	}
	account := u.Path
	u.Path = ""
	c := newCutter(u, p.http.Transport)
	w, err := p.writerAt(c.URL+account, c.Client())
	if err != nil {
		c.Close()
		return nil, err
	}
	w.cutter = c
	return w, nil
}

// writerAt is writer for the account at that URL, without a proxy.
func (p *place) writerAt(accountURL string, client *http.Client) (*writer, error) {
	set, err := blobtool.NewAccount(accountURL, func(context.Context) (azcore.TokenCredential, error) { return p.user, nil },
		&blobtool.Options{HTTPClient: client, Write: &blobtool.WriteOptions{
			Allow: []string{p.container}, MaxBytes: 8 << 20, UserPerMinute: -1, TotalPerMinute: -1,
			Confirm: func(context.Context, blobtool.Question) (bool, error) { return true, nil },
		}})
	if err != nil {
		return nil, err
	}
	w := &writer{place: p}
	w.client, w.disconnect, err = connectTools(p.ctx, set)
	return w, err
}

func (w *writer) close() {
	w.disconnect()
	if w.cutter != nil {
		w.cutter.Close()
	}
}

// A writeResult is what a tool that writes returns.
type writeResult struct {
	Outcome string   `json:"outcome"`
	Reason  string   `json:"reason"`
	Message string   `json:"message"`
	Action  string   `json:"action"`
	Exists  *bool    `json:"exists"`
	ETag    string   `json:"etag"`
	Size    *int64   `json:"size"`
	Diff    string   `json:"diff"`
	Notes   []string `json:"notes"`
	Upload  string   `json:"upload"`
	Offset  *int64   `json:"next_offset"`
	Undo    *struct {
		Possible  bool   `json:"possible"`
		VersionID string `json:"version_id"`
	} `json:"undo"`
	Lease *struct {
		State    string `json:"state"`
		Duration string `json:"duration"`
	} `json:"lease"`
}

// call calls a tool for the place's container, and checks what no result may have.
func (w *writer) call(tool string, arguments map[string]any, result any) (isError bool, err error) {
	arguments = clone(arguments)
	arguments["container"] = w.container
	res, err := w.client.CallTool(w.ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		return false, fmt.Errorf("%s: %w", tool, err)
	}
	text := res.Content[0].(*mcp.TextContent).Text //nolint:forcetypeassert // all have one
	for _, hidden := range []string{"mcpentra_write", "127.0.0.1", "<?xml", string(w.user)} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(hidden)) {
			return false, fmt.Errorf("%s shows %q: %s", tool, hidden, text)
		}
	}
	data, err := json.Marshal(res.StructuredContent)
	if err == nil {
		err = json.Unmarshal(data, result)
	}
	return res.IsError, err
}

// expect calls a tool that writes, and returns an error unless it ends like that: "done" and the
// action, or another outcome and the reason.
func (w *writer) expect(want, tool string, arguments map[string]any) (writeResult, error) {
	var r writeResult
	isError, err := w.call(tool, arguments, &r)
	if err != nil {
		return r, err
	}
	got := r.Outcome + " " + r.Action + r.Reason
	if got != want || isError != (r.Outcome != "done") || (r.Undo == nil) != isError {
		return r, fmt.Errorf("%s %.300v: got %s (%+v), want %s", tool, arguments, got, r, want)
	}
	return r, nil
}

// stands returns an error unless the blob has that text, and the ETag of the result.
func (w *writer) stands(name, text string, r writeResult) error {
	etag, err := w.etag(name)
	return errors.Join(err, w.holds(name, text), differs("etag of "+name, r.ETag, strings.Trim(string(etag), `"`)))
}

// gone returns an error unless there is no such blob.
func (w *writer) gone(name string) error {
	_, err := w.etag(name)
	var r *azcore.ResponseError
	if !errors.As(err, &r) || r.StatusCode != http.StatusNotFound {
		return fmt.Errorf("%s: got %w, want that it is not there", name, err)
	}
	return nil
}

// properties returns what azblob sees of a blob.
func (w *writer) properties(name string) (blob.GetPropertiesResponse, error) {
	return w.blobs.NewBlobClient(name).GetProperties(w.ctx, nil)
}
