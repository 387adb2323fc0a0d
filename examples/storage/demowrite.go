package main

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// writeAll writes a report, edits it, deletes it and brings it back. Each call has the ETag from the
// one before, so none destroys what it has not seen.
func writeAll(ctx context.Context, v *visit) error {
	blob := func(more args) args {
		a := args{"container": "finance", "blob_path": "reports/q3.md"}
		maps.Copy(a, more)
		return a
	}
	v.say("A new blob: without if_match nothing is ever overwritten.")
	if _, err := v.call(ctx, "write_blob", blob(args{"text": "# Q3\n\nTotal: 19\n", "content_type": "text/markdown", "tags": args{"state": "draft"}})); err != nil {
		return err
	}
	old, err := v.call(ctx, "stat_blob", blob(nil))
	if err != nil {
		return err
	}
	v.say("An edit, which the user confirms. A second edit, by an agent that has not seen the first, is refused.")
	current, err := v.call(ctx, "edit_blob", blob(args{"old_text": "Total: 19", "new_text": "Total: 19 (pens, paper)", "if_match": old["etag"]}))
	if err != nil {
		return err
	}
	if _, err := v.call(ctx, "edit_blob", blob(args{"old_text": "Total: 19", "new_text": "Total: 20", "if_match": old["etag"]})); err != nil {
		return err
	}
	v.say("A delete, to which the user first says no. If the client can't ask, the server refuses it.")
	var deleted map[string]any
	for _, v.agrees = range []bool{false, true} {
		if deleted, err = v.call(ctx, "delete_blob", blob(args{"if_match": current["etag"]})); err != nil {
			return err
		}
	}
	v.say("The result of the delete says how to undo it.")
	undo, _ := deleted["undo"].(map[string]any)
	if _, err := v.call(ctx, "undelete_blob", blob(args{"version_id": undo["version_id"]})); err != nil {
		return err
	}
	v.say("A blob outside of what this server may write, and one that a browser would run, are refused.")
	if _, err := v.call(ctx, "write_blob", args{"container": "finance", "blob_path": "plan.md", "text": "Settled."}); err != nil {
		return err
	}
	_, err = v.call(ctx, "write_blob", args{"container": "public", "blob_path": "index.html", "text": "<p>Hello"})
	return err
}

// writeNothing writes as a user with the role Storage Blob Data Reader.
func writeNothing(ctx context.Context, v *visit) error {
	v.say("Bob may only read: tools never have more rights than their user.")
	_, err := v.call(ctx, "write_blob", args{"container": "public", "blob_path": "note.txt", "text": "Hello."})
	return err
}

// say prints what the next calls show.
func (v *visit) say(text string) { _, _ = fmt.Fprintf(v.stdout, "-- %s\n\n", text) }

// ask shows a question of the server to the user, as a client's form does, and says no or yes.
func (v *visit) ask(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
	question := strings.ReplaceAll(strings.ReplaceAll(r.Params.Message, "\n\n", "\n"), "\n", "\n        ")
	_, _ = fmt.Fprintf(v.stdout, "    The user is asked:\n        %s\n    and says %s.\n", question, map[bool]string{true: "yes", false: "no"}[v.agrees])
	return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"confirm": v.agrees}}, nil
}
