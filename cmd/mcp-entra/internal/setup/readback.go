package setup

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// shows reports whether an object that was read has what a request's body set: each member of the
// body that the answer has. Lists must have the same items, in any order.
func shows(answer, body []byte) bool {
	if len(body) == 0 {
		return true
	}
	var got, want map[string]any
	if json.Unmarshal(answer, &got) != nil || json.Unmarshal(body, &want) != nil {
		return false
	}
	for name, value := range want {
		if has, ok := got[name]; ok && !covers(has, value) {
			return false
		}
	}
	return true
}

// covers reports whether a value has all that is wanted. Graph adds members of its own, and writes
// null where there is nothing.
func covers(got, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok {
			return len(want) == 0
		}
		for name, value := range want {
			if strings.Contains(name, "@odata.") { // written in other ways than it was sent
				continue
			}
			if !covers(got[name], value) {
				return false
			}
		}
		return true
	case []any:
		got, _ := got.([]any)
		if len(got) != len(want) {
			return false
		}
		left := append([]any(nil), got...)
	items:
		for _, w := range want {
			for i, g := range left {
				if covers(g, w) {
					left = append(left[:i], left[i+1:]...)
					continue items
				}
			}
			return false
		}
		return true
	case string:
		text, ok := got.(string)
		return ok && (text == want || sameTime(text, want)) || !ok && got == nil && want == ""
	case bool:
		return got == want || got == nil && !want
	case nil:
		return true
	default:
		return got == want
	}
}

// sameTime reports whether two texts are one time: Graph may write it with other fractions.
func sameTime(a, b string) bool {
	x, err := time.Parse(time.RFC3339, a)
	if err != nil {
		return false
	}
	y, err := time.Parse(time.RFC3339, b)
	return err == nil && x.Equal(y)
}

// capture finds an id in an answer.
func (c Capture) capture(answer []byte) (string, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(answer, &object); err != nil {
		return "", fmt.Errorf("the answer is not Microsoft Graph's: %w", err)
	}
	if c.Where == "" {
		var id string
		if json.Unmarshal(object[c.Member], &id) != nil || id == "" {
			return "", fmt.Errorf("the answer has no %s", c.Member)
		}
		return id, nil
	}
	var items []struct{ ID, Value string }
	if err := json.Unmarshal(object[c.Member], &items); err != nil {
		return "", fmt.Errorf("the answer has no %s", c.Member)
	}
	has := make([]string, len(items))
	for i, item := range items {
		if item.Value == c.Where {
			return item.ID, nil
		}
		has[i] = item.Value
	}
	return "", fmt.Errorf("it has no permission %s%s", c.Where, nearestOf(c.Where, has))
}
