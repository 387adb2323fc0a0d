package calls

import (
	"context"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A Tool is one that every contestant has, the same in all languages: it
// searches notes and has always found the same two.
type Tool struct {
	Name        string `json:"name"`
	Title       string `json:"title"`
	Description string `json:"description"`
}

// Called is the tool that is called.
const Called = "notes_search"

// Tools are those of every contestant.
func Tools() []Tool {
	return []Tool{
		{"notes_search", "Search notes", "Finds the caller's notes that contain a text, newest first."},
		{"notes_recent", "Recent notes", "Lists the caller's notes of the last days, newest first."},
		{"notes_shared", "Shared notes", "Lists notes that others have shared with the caller."},
		{"notes_archive", "Archived notes", "Searches the caller's archive, oldest first."},
		{"mail_search", "Search mail", "Finds messages in the caller's mailbox, newest first."},
		{"mail_unread", "Unread mail", "Lists the caller's unread messages, newest first."},
		{"files_search", "Search files", "Finds files that the caller may read, by name or content."},
		{"files_recent", "Recent files", "Lists the files that the caller opened of late."},
		{"people_search", "Search people", "Finds colleagues by name, department or skill."},
		{"calendar_search", "Search the calendar", "Finds the caller's appointments that contain a text."},
		{"admin_search", "Search all notes", "Finds notes of all users. For administrators."},
		{"admin_audit", "Search the audit log", "Finds entries of the audit log. For administrators."},
	}
}

// A Query is what the tools are asked.
type Query struct {
	Text  string `json:"text" jsonschema:"the text to look for"`
	Limit int    `json:"limit,omitempty" jsonschema:"how many to return at most; 20 if left out"`
}

// A Note is one of what they find.
type Note struct {
	ID    string `json:"id" jsonschema:"the note's identifier"`
	Title string `json:"title" jsonschema:"its first line"`
}

// A Found is their answer.
type Found struct {
	Notes []Note `json:"notes" jsonschema:"what was found"`
}

func search(context.Context, *mcp.CallToolRequest, Query) (*mcp.CallToolResult, Found, error) {
	return nil, Found{Notes: []Note{{"n-1", "Shopping for the weekend"}, {"n-2", "Questions to the landlord"}}}, nil
}

// A toolSet has the tools, as a set for ours.
type toolSet struct{}

// Register adds the tools to a server of the SDK.
func (toolSet) Register(s *mcp.Server) {
	for _, t := range Tools() {
		mcp.AddTool(s, &mcp.Tool{Name: t.Name, Title: t.Title, Description: t.Description}, search)
	}
}
