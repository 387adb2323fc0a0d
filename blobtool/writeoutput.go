package blobtool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
)

// Outcomes of a write. There is no other.
const (
	writeDone    = "done"    // this call did it
	writeRefused = "refused" // this call did nothing
	writeUnknown = "unknown" // an answer was lost, and what is there now does not tell
)

// writeOutput is what every tool that writes returns.
type writeOutput struct {
	Outcome   string       `json:"outcome" jsonschema:"done: this call did it. refused: this call changed nothing. unknown: the answer was lost and what is there now does not tell whether this call did it."`
	Reason    string       `json:"reason,omitempty" jsonschema:"Why it was not done, in one word, such as exists, changed, not_found, locked, permission, not_confirmed or throttled."`
	Message   string       `json:"message" jsonschema:"What happened, and what to do next."`
	Action    string       `json:"action,omitempty" jsonschema:"What was done: created, overwritten, edited, appended, metadata_set, tags_set, deleted or undeleted."`
	Container string       `json:"container" jsonschema:"Name of the container."`
	BlobPath  string       `json:"blob_path" jsonschema:"Name of the blob within the container."`
	URI       string       `json:"uri,omitempty" jsonschema:"URI of the blob as a resource of this server."`
	Exists    *bool        `json:"exists,omitempty" jsonschema:"Whether the blob is there now; absent if that is not known."`
	ETag      string       `json:"etag,omitempty" jsonschema:"ETag of the blob as it is now. After done, pass it as if_match to the next call; after refused or unknown, first read the blob again."`
	VersionID string       `json:"version_id,omitempty" jsonschema:"Version that is current now, if the account keeps versions."`
	Size      *int64       `json:"size,omitempty" jsonschema:"Size of the blob in bytes as it is now."`
	Undo      *undo        `json:"undo,omitempty" jsonschema:"Whether and how this can be undone."`
	Diff      string       `json:"diff,omitempty" jsonschema:"What an edit, set_metadata or set_tags changed: - before, + after. Long diffs are cut."`
	Lease     *leaseOutput `json:"lease,omitempty" jsonschema:"The lease on the blob, if that is why the call was refused."`
	Immutable *immutable   `json:"immutable,omitempty" jsonschema:"The immutability policy or legal hold on the blob, if that is known."`
	Upload    string       `json:"upload,omitempty" jsonschema:"After a staged piece: pass it to the call with the next piece."`
	Offset    *int64       `json:"next_offset,omitempty" jsonschema:"With upload: how many bytes are staged. Pass it to the next call as offset."`
	Notes     []string     `json:"notes,omitempty" jsonschema:"What else to know about the result."`
}

// leaseOutput describes a lease. Azure does not say whose it is.
type leaseOutput struct {
	State    string `json:"state" jsonschema:"leased or breaking."`
	Duration string `json:"duration,omitempty" jsonschema:"infinite, or fixed: 15 to 60 seconds, unless its owner renews it."`
}

// immutable describes why a blob can't be changed by anyone.
type immutable struct {
	Kind  string `json:"kind" jsonschema:"policy or legal_hold. A blob may have both."`
	Until string `json:"until,omitempty" jsonschema:"When a policy ends; absent if Azure does not say it, as for a container's policy."`
}

// outputFor begins the output of a call for a blob.
func outputFor(at names.Location) writeOutput {
	out := writeOutput{Container: at.Container, BlobPath: at.Blob}
	if at.Container != "" && at.Blob != "" {
		out.URI = at.URI()
	}
	return out
}

// show fills in what is there now; nil means that it is not known.
func (out *writeOutput) show(now *standing) {
	if now == nil {
		return
	}
	out.Exists = new(now.exists)
	if now.exists {
		out.ETag, out.VersionID, out.Size = bareETag(string(now.etag)), now.version, &now.size
	}
}

// refuse fills in what is there after a write that was not done, with its lease and policy.
func (out *writeOutput) refuse(now *standing) {
	out.show(now)
	out.Lease, out.Immutable = leaseOf(now), immutableOf(now)
}

// did fills in what this call wrote.
func (out *writeOutput) did(action string, w written, size int64) {
	out.Outcome, out.Action, out.Exists = writeDone, action, new(true)
	out.ETag, out.VersionID, out.Size = bareETag(string(w.etag)), w.version, &size
}

// addWriteTool adds a tool that writes. Its handler returns what it knows even with an error: every
// error becomes an outcome, so that each result says whether anything was changed. Results that are
// not done are errors for clients, and middleware gets the error from GetError.
func addWriteTool[In any](s *Set, srv *mcp.Server, t *mcp.Tool, handle func(context.Context, *mcp.CallToolRequest, In) (writeOutput, error)) {
	if t.OutputSchema == nil {
		t.OutputSchema = writeSchema()
	}
	input, given := t.InputSchema.(*jsonschema.Schema)
	if !given {
		input = schemaFor[In]()
	}
	if s.container != "" {
		dropProperty(input, "container")
	}
	t.InputSchema = input
	mcp.AddTool(srv, t, func(ctx context.Context, req *mcp.CallToolRequest, in In) (*mcp.CallToolResult, any, error) {
		question, out, err := s.write(ctx, req, t.Name, func(ctx context.Context) (writeOutput, error) { return handle(ctx, req, in) })
		switch {
		case question != nil:
			return question, nil, nil
		case err == nil:
			s.nameUndelete(out.Undo, out.BlobPath, value(out.Exists))
			return nil, out, nil
		}
		failed := s.failed(ctx, t.Name, err)
		out.fail(err, failed.Content[0].(*mcp.TextContent).Text)
		text, err := json.Marshal(out)
		if err != nil {
			panic(fmt.Sprintf("blobtool: encoding %T: %v", out, err)) // plain structs always encode
		}
		failed.Content = []mcp.Content{&mcp.TextContent{Text: string(text)}}
		return failed, out, nil
	})
}

// outcomeOf returns the outcome of a call that returned err.
func outcomeOf(err error) string {
	switch {
	case err == nil:
		return writeDone
	case errors.Is(err, ErrUncertain):
		return writeUnknown
	}
	return writeRefused
}

// fail makes the output that of a call that was not done.
func (out *writeOutput) fail(err error, text string) {
	out.Outcome, out.Reason, out.Message = outcomeOf(err), kindName(public(err)), text
	out.Action, out.Undo, out.Diff = "", nil, ""
	if out.Immutable == nil {
		out.Immutable = immutableBy(err)
	}
}

// writeSchema is the schema of writeOutput, without the fields of uploads.
func writeSchema() *jsonschema.Schema {
	schema := uploadSchema()
	dropProperty(schema, "upload")
	dropProperty(schema, "next_offset")
	return schema
}

// uploadSchema is the whole schema of writeOutput.
func uploadSchema() *jsonschema.Schema {
	schema := schemaFor[writeOutput]()
	choices(schema.Properties["outcome"], writeDone, writeRefused, writeUnknown)
	return schema
}

// adds annotates a tool that only adds, and adds again with each call.
func adds(title string) *mcp.ToolAnnotations {
	no, yes := false, true
	return &mcp.ToolAnnotations{Title: title, DestructiveHint: &no, OpenWorldHint: &yes}
}

// writes annotates a tool that may destroy what is there. again says that a repeated call changes
// nothing more.
func writes(title string, again bool) *mcp.ToolAnnotations {
	yes := true
	return &mcp.ToolAnnotations{Title: title, DestructiveHint: &yes, IdempotentHint: again, OpenWorldHint: &yes}
}
