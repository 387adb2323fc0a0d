package calls

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
)

// packageVersion is that of an npm package in the directory's lock file.
func packageVersion(dir, name string) string {
	data, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return ""
	}
	var lock struct {
		Packages map[string]struct {
			Version string `json:"version"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(data, &lock); err != nil {
		return ""
	}
	return lock.Packages["node_modules/"+name].Version
}

// requirements are the versions of Python packages in the directory's list.
func requirements(dir string, names ...string) []string {
	data, err := os.ReadFile(filepath.Join(dir, "requirements.txt"))
	if err != nil {
		return names
	}
	for i, name := range names {
		for line := range strings.Lines(string(data)) {
			if version, ok := strings.CutPrefix(line, name+"=="); ok {
				version, _, _ = strings.Cut(version, " ")
				names[i] = "`" + name + "` " + strings.TrimSpace(version)
			}
		}
	}
	return names
}
