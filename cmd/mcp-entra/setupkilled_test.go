package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// long is for CI: a plain go test must take less than a minute.
var long = flag.Bool("long", false, "run the tests of setup disturbed at each of its writes, not at some of them")

// setup, killed at writes of each mode and then run again, ends where it would have ended.
func TestSetupKilledInEachMode(t *testing.T) {
	t.Parallel()
	applied := func(s *stage) []string {
		apply := s.everything()
		s.must(exitOK, apply...)
		return apply
	}
	for name, mode := range map[string]func(s *stage) (args, check []string){
		"adopt": func(s *stage) (args, check []string) {
			old := s.graph("POST", "/applications", map[string]any{"displayName": "Files by hand", "uniqueName": "by-hand"})
			apply := append(s.everything(), "-adopt", old["appId"].(string))
			return apply, []string{"check", "-f", apply[2], "-adopt", old["appId"].(string)}
		},
		"restore": func(s *stage) (args, check []string) {
			apply := applied(s)
			s.must(exitOK, "destroy", "-f", apply[2])
			return append(apply, "-deleted", "restore"), []string{"check", "-f", apply[2], "-deleted", "restore"}
		},
		"purge": func(s *stage) (args, check []string) {
			apply := applied(s)
			s.must(exitOK, "destroy", "-f", apply[2])
			return append(apply, "-deleted", "purge"), []string{"check", "-f", apply[2], "-deleted", "purge"}
		},
		"changes": func(s *stage) (args, check []string) {
			apply := applied(s)
			s.others()
			data, err := os.ReadFile(apply[2])
			if err != nil {
				s.Fatal(err)
			}
			changes := strings.NewReplacer("Files.Admin", "Files.Owner", "display-name: Files", "display-name: Files too", "graph: User.Read", "graph: openid")
			s.write("mcp-entra.yaml", "exclusive: true\n"+changes.Replace(string(data)))
			return apply, []string{"check", "-f", apply[2]}
		},
		"destroy": func(s *stage) (args, check []string) {
			apply := applied(s)
			s.others()
			return []string{"destroy", "-f", apply[2], "-purge"}, []string{"destroy", "-f", apply[2], "-purge"}
		},
		"saved plan": func(s *stage) (args, check []string) {
			apply, saved := s.everything(), filepath.Join(s.dir, "plan.json")
			s.must(exitDiffers, "plan", "-f", apply[2], "-out", saved)
			return []string{"apply", "-secret-file", apply[4], saved}, []string{"check", "-f", apply[2]}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			names := append([]string{"by-hand"}, all...)
			whole := newStage(t)
			args, check := mode(whole)
			whole.wire.written()
			whole.must(exitOK, args...)
			writes := whole.wire.written()
			whole.must(exitOK, check...)
			want := whole.snapshot(names...)
			for i, write := range writes {
				if !*long && i%9 != len(name)%9 {
					continue
				}
				t.Run(fmt.Sprint(i+1), func(t *testing.T) {
					t.Parallel()
					s := newStage(t)
					args, check := mode(s)
					s.kill(i+1, i%2 == 0) // with and without the answer
					s.run(args...)
					s.wire.set(nil)
					s.wire.setBefore(nil)
					if code, stdout, stderr := s.run(args...); code != exitOK {
						t.Fatalf("killed at %s, then run again = %d\n%s%s", write, code, stdout, stderr)
					}
					s.must(exitOK, check...)
					if got := s.snapshot(names...); got != want {
						t.Errorf("killed at %s, then run again, ends in another state:\n%s", write, difference(got, want))
					}
				})
			}
		})
	}
}
