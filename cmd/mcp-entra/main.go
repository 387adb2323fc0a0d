// Command mcp-entra takes a Go MCP server from nothing to a signed-in client: it registers the
// server and its clients with Microsoft Entra ID, says what is wrong with a setup, checks tokens,
// signs users in, calls tools, and runs a test tenant.
//
//	mcp-entra COMMAND [flags] [arguments]
//
// mcp-entra -h lists the commands, and mcp-entra COMMAND -h shows the flags of one, with examples.
//
// # Exit codes
//
//	0   done; nothing differs
//	1   failed; the error says what to do
//	2   setup plan and setup check: the tenant differs from the file; doctor: a check failed
//	64  the command line is wrong
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/setup"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailed  = 1
	exitDiffers = 2
	exitUsage   = 64 // EX_USAGE of sysexits.h
)

// A process is what a command may use of the process and the machine. Tests set all of it.
type process struct {
	lookup         func(name string) (string, bool) // environment variables
	stdin          io.Reader
	stdout, stderr io.Writer
	terminal       bool                   // a person can answer on stdin
	client         *http.Client           // for all requests; nil means http.DefaultTransport's rules
	openURL        func(url string) error // in the user's browser
	// wait waits or returns the context's error; nil means on the real clock.
	wait func(ctx context.Context, d time.Duration) error
}

// A command is a subcommand of the program.
type command struct {
	name    string
	summary string // completes "mcp-entra NAME ..."
	run     func(ctx context.Context, p *process, args []string) error
}

// commands are all commands, in the order of the help text.
func commands() []command {
	return []command{
		{"setup", "registers a server and its clients with Entra ID", runSetup},
		{"doctor", "says what is wrong with a setup, and what to do", runDoctor},
		{"explain", "checks a token against every rule: why 401?", explainToken},
		{"login", "signs you in for a server, and prints or saves the token if asked", logIn},
		{"call", "lists or calls a server's tools, signed in as you", callTools},
		{"tenant", "runs a test double of Entra ID, for programs in any language", runTenant},
	}
}

// errDiffers makes the exit code exitDiffers. The command has said what differs.
var errDiffers = errors.New("differs")

// A usageError is a fault of the command line.
type usageError struct{ problem string }

func (e *usageError) Error() string { return e.problem }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// parse parses a command's flags. For -h it prints the help and the flags.
func parse(p *process, flags *flag.FlagSet, help string, args []string) error {
	flags.SetOutput(io.Discard) // exitCode prints the error
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		printHelp(p, flags, help)
	case err != nil:
		err = usagef("%s", flagFault(err))
	}
	return err
}

func printHelp(p *process, flags *flag.FlagSet, help string) {
	fmt.Fprint(p.stderr, help)
	flags.SetOutput(p.stderr)
	flags.PrintDefaults()
}

// flagFault returns the flag package's error without a value that may be a secret, as in
// -secret=VALUE.
func flagFault(err error) string {
	text := err.Error()
	if before, value, ok := strings.Cut(text, "invalid boolean value "); ok {
		_, name, _ := strings.Cut(value, " for ")
		name, _, _ = strings.Cut(name, ":")
		return before + name + " takes no value (what it has is not shown: it may be a secret)"
	}
	if before, name, ok := strings.Cut(text, "not defined: "); ok {
		return before + "not defined: " + strings.Trim(setup.Shown(name), `"`)
	}
	return text
}

// printJSON prints what -json asks for. Every command's members are in camelCase.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // for people, too
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	p := &process{
		lookup: os.LookupEnv, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		terminal: isTerminal(os.Stdin), openURL: openBrowser,
	}
	os.Exit(run(ctx, p, os.Args[1:]))
}

// isTerminal reports whether the file is a terminal: a character device, but not the null device,
// which is the standard input of programs that are started without one.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// run is the whole program. It returns the exit code.
func run(ctx context.Context, p *process, args []string) int {
	p.stdout, p.stderr = terminalWriter{p.stdout}, terminalWriter{p.stderr}
	if len(args) == 0 || args[0] == "-h" || args[0] == "-help" || args[0] == "--help" || args[0] == "help" {
		usage(p.stderr)
		if len(args) == 0 {
			return exitUsage
		}
		return exitOK
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return exitCode(p.stderr, c.name, c.run(ctx, p, args[1:]))
		}
	}
	fmt.Fprintf(p.stderr, "mcp-entra: there is no command %s\nmcp-entra -h lists the commands.\n", hideSecrets(setup.Shown(args[0])))
	return exitUsage
}

// exitCode prints the error, if any, and returns its exit code.
func exitCode(stderr io.Writer, name string, err error) int {
	var wrong *usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errDiffers):
		return exitDiffers
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "mcp-entra %s: %s\nmcp-entra %s -h shows the flags, with examples.\n", name, hideSecrets(err.Error()), name)
		return exitUsage
	default:
		fmt.Fprintf(stderr, "mcp-entra %s: %s\n", name, hideSecrets(err.Error()))
		return exitFailed
	}
}

// aSecret is what tokens look like, and the secrets that Entra makes.
var aSecret = regexp.MustCompile(`eyJ[\w-]+(\.[\w-]+)+|[\w.-]{3,}~[\w.~-]{8,}`)

// hideSecrets takes out of an error what was pasted into a wrong place of the command line.
func hideSecrets(text string) string {
	return aSecret.ReplaceAllString(text, "(not shown: it may be a secret)")
}

// A terminalWriter writes control characters as \uXXXX, which is right in JSON too: what servers
// send must not move the cursor or hide text. Each write ends with a whole character.
type terminalWriter struct{ w io.Writer }

func (t terminalWriter) Write(text []byte) (int, error) {
	safe := bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	if !utf8.Valid(safe) || bytes.ContainsFunc(safe, moves) {
		var b bytes.Buffer
		for _, r := range string(safe) {
			if moves(r) {
				fmt.Fprintf(&b, `\u%04x`, r)
			} else {
				b.WriteRune(r)
			}
		}
		safe = b.Bytes()
	}
	if _, err := t.w.Write(safe); err != nil {
		return 0, err
	}
	return len(text), nil
}

// moves reports whether a terminal may do something else with the character than show it:
// controls, and those that change the direction of text.
func moves(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r)
}

func usage(w io.Writer) {
	fmt.Fprint(w, "mcp-entra secures MCP servers with Microsoft Entra ID.\n\nUsage: mcp-entra COMMAND [flags] [arguments]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-10s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, "\nmcp-entra COMMAND -h shows the flags of a command, with examples and exit codes.\n")
}
