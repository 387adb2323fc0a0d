package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A tenantState is the file with which other processes of this user find the tenant.
type tenantState struct {
	Control string `json:"control"` // URL
	Key     string `json:"key"`
}

func stateFlag(flags *flag.FlagSet, state *string) {
	flags.StringVar(state, "state", "", "the `file` with the control endpoint's address and key, mode 0600 (default: tenant.json in the user's cache folder)")
}

// stateFile returns the state's file, whose folder exists.
func stateFile(name string) (string, error) {
	if name == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("%w; name a file with -state", err)
		}
		name = filepath.Join(cache, "mcp-entra", "tenant.json")
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return "", fmt.Errorf("%w; name a file with -state", err)
		}
	}
	return filepath.Abs(name)
}

// write replaces the file.
func (s *tenantState) write(path string) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return writePrivate(path, append(data, '\n'))
}

// remove removes the file unless it is another tenant's by now.
func (s *tenantState) remove(path string) {
	if now, err := readState(path); err == nil && *now == *s {
		_ = os.Remove(path)
	}
}

func readState(path string) (*tenantState, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no tenant runs here: there is no file %s; start one with mcp-entra tenant, or name its file with -state", path)
	}
	if err != nil {
		return nil, err
	}
	var s tenantState
	if err := json.Unmarshal(data, &s); err != nil || s.Control == "" || s.Key == "" {
		return nil, fmt.Errorf("%s is not the state of a tenant; name it with -state", path)
	}
	return &s, nil
}
