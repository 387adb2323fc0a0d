package blobtool_test

import (
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

type containersOutput struct {
	Containers []struct {
		Name     string   `json:"name"`
		Modified string   `json:"modified"`
		Only     []string `json:"only"`
	} `json:"containers"`
	Truncated  bool   `json:"truncated"`
	NextCursor string `json:"next_cursor"`
}

func (o containersOutput) rowNames() string {
	var all []string
	for _, c := range o.Containers {
		all = append(all, c.Name)
	}
	return strings.Join(all, " ")
}

func TestListContainers(t *testing.T) {
	t.Parallel()
	w := newAccountWorld(t, nil)
	for _, name := range []string{"$logs", "archive", "data-1", "data-2", "zoo"} {
		w.storage.AddContainer(name)
	}
	session := w.connect(t, "alice")
	text := w.refusal(t, session, "list_containers", args{}, blobtool.ErrPermission)
	if !strings.Contains(text, "on the whole storage account") || strings.Contains(text, "This server offers") {
		t.Errorf("got %s, want \"on the whole storage account\" and no \"This server offers\"", text)
	}
	w.storage.Grant(w.alice.ObjectID, "", "")
	out := callFor[containersOutput](t, session, "list_containers", args{})
	if out.rowNames() != "$logs archive data-1 data-2 docs zoo" || out.Truncated || out.Containers[0].Modified == "" || out.Containers[0].Only != nil {
		t.Errorf("got %+v, want all 6 with their times", out)
	}
	if got := callFor[containersOutput](t, session, "list_containers", args{"prefix": "data"}).rowNames(); got != "data-1 data-2" {
		t.Errorf("prefix: got %s, want \"data-1 data-2\"", got)
	}
	var all []string
	a := args{"page_size": 4}
	for range 3 {
		out := callFor[containersOutput](t, session, "list_containers", a)
		all = append(all, out.rowNames())
		if !out.Truncated {
			break
		}
		a["cursor"] = out.NextCursor
	}
	if got := strings.Join(all, "|"); got != "$logs archive data-1 data-2|docs zoo" {
		t.Errorf("pages: got %s, want \"$logs archive data-1 data-2|docs zoo\"", got)
	}
	w.refusal(t, session, "list_containers", args{"prefix": "Data"}, blobtool.ErrInvalidArgument)
	w.refusal(t, session, "list_containers", args{"cursor": a["cursor"]}, blobtool.ErrInvalidArgument)

	w.allowOnly(t, "zoo", "data-2/b/", "data-2/a/", "missing")
	session = w.connect(t, "alice")
	out = callFor[containersOutput](t, session, "list_containers", args{})
	if out.rowNames() != "data-2 zoo" || strings.Join(out.Containers[0].Only, " ") != "a/ b/" {
		t.Errorf("allowed: got %+v, want data-2 with a/ and b/, and zoo", out)
	}
	a = args{"page_size": 1}
	first := callFor[containersOutput](t, session, "list_containers", a)
	a["cursor"] = first.NextCursor
	if second := callFor[containersOutput](t, session, "list_containers", a); first.rowNames() != "data-2" || second.rowNames() != "zoo" || second.Truncated {
		t.Errorf("one at a time: got %+v, %+v; want data-2, zoo and no more", first, second)
	}
	text = w.refusal(t, w.connect(t, "bob"), "list_containers", args{}, blobtool.ErrPermission)
	if !strings.Contains(text, "This server offers the containers data-2, missing, zoo.") {
		t.Errorf("got %s, want \"This server offers the containers data-2, missing, zoo.\"", text)
	}
}
