package copies

import (
	"path/filepath"
	"strings"
	"testing"
)

// FuzzLocalPath checks that the copy of any blob stays in the user's folder under its own name.
func FuzzLocalPath(f *testing.F) {
	for _, s := range []string{"a.txt", "a/b.txt", "..", "a/../b", "%2e%2e/x", "/a", `a\b`, "a\x00b", "100%", ".partial-x", "con", "a//b", "...", "a/.../b", strings.Repeat("a/", 300) + "b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		for _, windows := range []bool{false, true} {
			local, fault := localPath(path, windows)
			if fault == "" && (!filepath.IsLocal(local) || filepath.ToSlash(local) != path) {
				t.Fatalf("the copy of %q is %q", path, local)
			}
		}
	})
}

func TestUserFolder(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, id := range []string{
		"11111111-2222-3333-4444-555555555555.aaaaaaaa-0000-0000-0000-000000000001",
		"alice", "Alice", "ALICE", "a/b", "..", ".", "", "con", "nul.txt", "a.", "-a", "a b", "日本", "auth0|x", strings.Repeat("a", 129),
		userFolder("Alice"), userFolder(".."), ".partial-x", "a..b", "c:",
	} {
		folder := userFolder(id)
		if other, ok := seen[strings.ToLower(folder)]; ok {
			t.Errorf("%q and %q share the folder %s, want one each", id, other, folder)
		}
		seen[strings.ToLower(folder)] = id
		if !filepath.IsLocal(folder) || strings.ContainsAny(folder, `/\:`) || strings.HasPrefix(folder, ".") || len(folder) > 128 {
			t.Errorf("the folder of %q is %q", id, folder)
		}
	}
	if id := "11111111-2222-3333-4444-555555555555.aaaaaaaa-0000-0000-0000-000000000001"; userFolder(id) != id {
		t.Errorf("the folder of a tenant's user is %q", userFolder(id))
	}
}

func TestLocalPathOnWindows(t *testing.T) {
	t.Parallel()
	for path, ok := range map[string]bool{
		"a/b.txt": true, "console/x": true, "com10.txt": true,
		"con": false, "a/NUL": false, "a/aux.txt": false, "COM1": false, "lpt9.log/x": false, "conin$": false,
		"a:b": false, "a./b": false, "a /b": false, "a?b": false, "x/com¹": false, "con .txt": false,
	} {
		if _, fault := localPath(path, true); (fault == "") != ok {
			t.Errorf("%q: got %q, want %v", path, fault, ok)
		}
	}
	for path, ok := range map[string]bool{"a:b": true, "a//b": false, ".partial-x": false, ".Partial-x/y": false, "x/.partial-y": true, strings.Repeat("a", 256): false} {
		if _, fault := localPath(path, false); (fault == "") != ok {
			t.Errorf("elsewhere, %q: got %q, want %v", path, fault, ok)
		}
	}
}

// A blob's path never equals that of another container's copy.
func TestNamesOfContainersFolders(t *testing.T) {
	t.Parallel()
	for _, name := range []string{".container-other@account.blob.core.windows.net/x.txt", ".CONTAINER-x"} {
		if path, fault := localPath(name, false); fault == "" {
			t.Errorf("%s is saved at %s, want a fault", name, path)
		}
	}
}
