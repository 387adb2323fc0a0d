package serverconfig

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseDotenv(t *testing.T) {
	t.Parallel()
	const seed = `# Entra ID 設定
TENANT_ID="your-tenant-id-here"
API_APP_ID="your-api-app-id-here"

USE_OBO_FLOW=false
ENTRA_APP_CLIENT_SECRET="your-client-secret-here"  # ローカル開発のみ
TARGET_AUDIENCES="https://storage.azure.com"  # カンマ区切りで複数指定可能
`
	tests := []struct {
		name, content string
		want          map[string]string
	}{
		{"the documented file", seed, map[string]string{
			"TENANT_ID": "your-tenant-id-here", "API_APP_ID": "your-api-app-id-here", "USE_OBO_FLOW": "false",
			"ENTRA_APP_CLIENT_SECRET": "your-client-secret-here", "TARGET_AUDIENCES": "https://storage.azure.com",
		}},
		{"nothing", "", map[string]string{}},
		{"blank lines and comments", "\n  \n# A=1\n   # B=2\n", map[string]string{}},
		{"no line break at the end", "A=1", map[string]string{"A": "1"}},
		{"Windows: CRLF and byte order mark", "\uFEFFA=1\r\nB=\"2\"\r\n", map[string]string{"A": "1", "B": "2"}},
		{"white space around", "  A  =  one two  \n", map[string]string{"A": "one two"}},
		{"comment after the value", "A=1 # c\nB=2\t# c", map[string]string{"A": "1", "B": "2"}},
		{"number sign within the value", "A=x#y\nB=#z", map[string]string{"A": "x#y", "B": "#z"}},
		{"comment instead of a value", "A= # c", map[string]string{"A": ""}},
		{"empty values", "A=\nB=''\nC=\"\"", map[string]string{"A": "", "B": "", "C": ""}},
		{"equals sign in the value", "A=b=c==", map[string]string{"A": "b=c=="}},
		{"export", "export A=1\nexport\tB=2\nexported=3\nexport=4", map[string]string{"A": "1", "B": "2", "exported": "3", "export": "4"}},
		{"single quotes keep everything", `A=' # "\n" $X \' `, map[string]string{"A": ` # "\n" $X \`}},
		{"double quotes escape as a shell does", `A="a \" \\ \$ \` + "`" + ` \n C:\new"`, map[string]string{"A": "a \" \\ $ ` \\n C:\\new"}},
		{"comment after quotes", "A='1' # c\nB=\"2\"# c", map[string]string{"A": "1", "B": "2"}},
		{"nothing is expanded", "A=1\nB=$A ${A}", map[string]string{"A": "1", "B": "$A ${A}"}},
		{"quotes within the value", `A=it's "so"`, map[string]string{"A": `it's "so"`}},
		{"the last one counts", "A=1\nA=2", map[string]string{"A": "2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			values, faults := parseDotenv([]byte(tt.content))
			if len(faults) > 0 {
				t.Fatalf("faults: %v", faults)
			}
			got := map[string]string{}
			for name, value := range values {
				got[name] = value.text
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestParseDotenvFaults(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, line, problem string }{
		{"no equals sign", "SECRETVALUE", "has no equals sign"},
		{"export without a value", "export SECRETVALUE", "has no equals sign"},
		{"no name", "=SECRETVALUE", "has no variable name"},
		{"a name with a hyphen", "A-B=SECRETVALUE", "has no variable name"},
		{"a name with a blank", "A B=SECRETVALUE", "has no variable name"},
		{"a name that begins with a digit", "1A=SECRETVALUE", "has no variable name"},
		{"open double quote", `A="SECRETVALUE`, "has a quote that is not closed"},
		{"open single quote", `A='SECRETVALUE`, "has a quote that is not closed"},
		{"escaped last quote", `A="SECRETVALUE\"`, "has a quote that is not closed"},
		{"text after the quote", `A="SECRET"VALUE`, "has text after the closing quote"},
		{"NUL", "A=SECRETVALUE\x00", "has control characters or is not UTF-8"},
		{"not UTF-8", "A=SECRETVALUE\xff", "has control characters or is not UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			values, faults := parseDotenv([]byte("# first\nGOOD=1\n" + tt.line + "\nLAST=2\n"))
			if len(faults) != 1 {
				t.Fatalf("got %d faults, want 1", len(faults))
			}
			text := faults[0].String()
			if !strings.HasPrefix(text, ".env:3: ") || !strings.Contains(text, tt.problem) {
				t.Errorf("fault %q does not say %q of .env:3", text, tt.problem)
			}
			if strings.Contains(text, "SECRET") {
				t.Errorf("fault %q shows the line", text)
			}
			if values["GOOD"].text != "1" || values["LAST"] != (dotenvValue{"2", 4}) {
				t.Errorf("the other lines were not read: %v", values)
			}
		})
	}
}

func TestReadDotenv(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, size int) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(strings.Repeat("#", size)), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if content, faults := ReadDotenv(filepath.Join(dir, "absent")); content != nil || faults != nil {
		t.Errorf("without a file: %q, %v", content, faults)
	}
	if content, faults := ReadDotenv(write("largest", maxDotenv)); len(content) != maxDotenv || faults != nil {
		t.Errorf("largest: %d bytes, %v", len(content), faults)
	}
	if _, faults := ReadDotenv(write("larger", maxDotenv+1)); len(faults) != 1 || !strings.Contains(faults[0].String(), "larger than 1048576 bytes") {
		t.Errorf("larger: %v", faults)
	}
	if _, faults := ReadDotenv(dir); len(faults) != 1 || !strings.Contains(faults[0].String(), "can't be read") {
		t.Errorf("a folder: %v", faults)
	}
}

func FuzzParseDotenv(f *testing.F) {
	for _, s := range []string{"A=1", "export A='x' # c", `A="\" \\"`, "A=\"", "\uFEFF# x\r\nB=2 #", "A = b # c\n=", "A=\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		values, faults := parseDotenv(content)
		lines := strings.Count(string(content), "\n") + 1
		if len(values)+len(faults) > lines {
			t.Errorf("%d values and %d faults in %d lines", len(values), len(faults), lines)
		}
		for name, value := range values {
			if !isVariableName(name) {
				t.Errorf("name %q", name)
			}
			if strings.ContainsFunc(value.text, isControl) {
				t.Errorf("%s has the value %q", name, value.text)
			}
			// Writing what was read and reading it again gives the same result.
			quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`").Replace(value.text)
			again, faults := parseDotenv([]byte("export " + name + ` = "` + quoted + `" # comment`))
			if len(faults) > 0 || again[name].text != value.text {
				t.Errorf("%q written as %q reads %q %v", value.text, quoted, again[name].text, faults)
			}
		}
	})
}

func TestReadForToken(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		variables map[string]string
		where     []string
	}{
		"nothing":           {nil, nil},
		"a tenant":          {map[string]string{"TENANT_ID": testTenant}, nil},
		"an odd tenant":     {map[string]string{"TENANT_ID": "x"}, []string{"TENANT_ID"}},
		"an odd app":        {map[string]string{"API_APP_ID": "x"}, []string{"API_APP_ID"}},
		"an odd authority":  {map[string]string{"AZURE_AUTHORITY_HOST": "http://x"}, []string{"AZURE_AUTHORITY_HOST"}},
		"both, one of them": {with("TENANT_ID", "x"), []string{"TENANT_ID"}},
		"both the same":     {with("API_APP_ID", testTenant), []string{"API_APP_ID"}},
	} {
		_, faults := ReadForToken(lookupIn(row.variables), nil)
		var where []string
		for _, f := range faults {
			where = append(where, f.Where)
		}
		if !slices.Equal(where, row.where) {
			t.Errorf("%s: faults %v, want of %v", name, faults, row.where)
		}
	}
}
