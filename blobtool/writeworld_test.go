package blobtool_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// writeOutput is what the writing tools return, as a client decodes it.
type writeOutput struct {
	Outcome   string `json:"outcome"`
	Reason    string `json:"reason"`
	Message   string `json:"message"`
	Action    string `json:"action"`
	BlobPath  string `json:"blob_path"`
	URI       string `json:"uri"`
	Exists    *bool  `json:"exists"`
	ETag      string `json:"etag"`
	VersionID string `json:"version_id"`
	Size      *int64 `json:"size"`
	Undo      *struct {
		Possible  bool   `json:"possible"`
		How       string `json:"how"`
		VersionID string `json:"version_id"`
	} `json:"undo"`
	Diff  string `json:"diff"`
	Lease *struct {
		State    string `json:"state"`
		Duration string `json:"duration"`
	} `json:"lease"`
	Immutable *struct {
		Kind  string `json:"kind"`
		Until string `json:"until"`
	} `json:"immutable"`
	Upload string   `json:"upload"`
	Offset *int64   `json:"next_offset"`
	Notes  []string `json:"notes"`
}

// newWriteWorld starts a world in which Alice may write, and somebody confirms everything.
func newWriteWorld(t testing.TB, kind func(*blobtest.Options), change func(*blobtool.WriteOptions)) *world {
	t.Helper()
	w := newWorldOn(t, kind, func(o *blobtool.Options) {
		o.DownloadDir = ""
		o.Write = &blobtool.WriteOptions{Allow: []string{"docs"}, UserPerMinute: -1, TotalPerMinute: -1, Confirm: yes}
		if change != nil {
			change(o.Write)
		}
	})
	w.storage.GrantContributor(w.alice.ObjectID, "docs", "")
	return w
}

// request is a call of that user, without a client.
func (w *world) request(who string) *mcp.CallToolRequest {
	return asUser(w.userID(who))
}

// asUser is a call of the user with that ID.
func asUser(id string) *mcp.CallToolRequest {
	return &mcp.CallToolRequest{Extra: &mcp.RequestExtra{TokenInfo: &auth.TokenInfo{UserID: id}}}
}

func yes(context.Context, blobtool.Question) (bool, error) { return true, nil }

// write calls a tool that writes, and checks what every result has.
func (w *world) write(t testing.TB, session *mcp.ClientSession, tool string, a args) writeOutput {
	t.Helper()
	res, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: a})
	if err != nil {
		t.Fatal(err)
	}
	text := res.Content[0].(*mcp.TextContent).Text
	structured, err := json.Marshal(res.StructuredContent)
	if err != nil {
		t.Fatal(err)
	}
	var out writeOutput
	if err := json.Unmarshal(structured, &out); err != nil {
		t.Fatalf("%s %v: %v: %s", tool, a, err, structured)
	}
	if res.IsError != (out.Outcome != "done") || out.Message == "" || (out.Reason == "") != (out.Outcome == "done") {
		t.Errorf("%s %v: isError %t with %s", tool, a, res.IsError, structured)
	}
	for _, hidden := range []string{"127.0.0.1", "localhost", "https://127", "RequestId:", "<?xml", "mcpentra_write"} {
		if strings.Contains(text, hidden) {
			t.Errorf("the text has %q: %s", hidden, text)
		}
	}
	return out
}

// wrote is write for a call that must succeed.
func (w *world) wrote(t testing.TB, session *mcp.ClientSession, tool string, a args) writeOutput {
	t.Helper()
	out := w.write(t, session, tool, a)
	if out.Outcome != "done" || out.Undo == nil {
		t.Fatalf("%s %v: got %+v, want it done, with an undo or that there is none", tool, a, out)
	}
	return out
}

// content returns a blob's text and its properties, read by Alice.
func (w *world) content(t testing.TB, session *mcp.ClientSession, blob string) (text string, stat statOutput) {
	t.Helper()
	return readText(t, session, blob), statOf(t, session, blob)
}

func readText(t testing.TB, session *mcp.ClientSession, blob string) string {
	t.Helper()
	return callFor[struct {
		Text string `json:"text"`
	}](t, session, "read_blob", args{"blob_path": blob}).Text
}

func statOf(t testing.TB, session *mcp.ClientSession, blob string) statOutput {
	t.Helper()
	return callFor[statOutput](t, session, "stat_blob", args{"blob_path": blob})
}
