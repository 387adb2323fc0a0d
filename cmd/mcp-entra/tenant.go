package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/tenantcontrol"
	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/tenantfile"
	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/yamlfile"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

const tenantHelp = `Usage: mcp-entra tenant [flags] [FILE]
       mcp-entra tenant token [flags]
       mcp-entra tenant control [flags] NAME [JSON]

Runs a test double of Microsoft Entra ID on this machine, for programs in any language, until it is
stopped. FILE is YAML; without it, there is a tenant with Alice, Bob, an API and two clients. State
is in memory only. Anyone gets any token, so it listens on loopback only.

  token    prints a token of the running tenant
  control  changes its clock, faults, keys and sessions, and lists requests

Exit codes: 0 stopped by a signal; 1 failed; 64 the command line is wrong.

Examples:
  mcp-entra tenant                        a ready tenant at https://localhost:8443
  mcp-entra tenant -init > tenant.yaml    a commented file to start from
  mcp-entra tenant -ca ca.pem tenant.yaml
  NODE_EXTRA_CA_CERTS=ca.pem node app.js  a client that trusts it
  mcp-entra tenant -http                  plain HTTP, for clients that can't be given a CA
  mcp-entra tenant token -user alice -client client -api api
  mcp-entra tenant control clock '{"advance": "2h"}'

Flags:
`

// A tenantCommand is the flags of mcp-entra tenant.
type tenantCommand struct {
	addr, control, ca, state          string
	plain, starter, asJSON, verbosely bool
	file                              string
}

func runTenant(ctx context.Context, p *process, args []string) error {
	if len(args) > 0 && args[0] == "token" {
		return runTenantToken(ctx, p, args[1:])
	}
	if len(args) > 0 && args[0] == "control" {
		return runTenantControl(ctx, p, args[1:])
	}
	var c tenantCommand
	if err := c.parse(p, args); err != nil {
		return err
	}
	if c.starter {
		_, err := p.stdout.Write(tenantfile.Starter)
		return err
	}
	return c.run(ctx, p)
}

func (c *tenantCommand) parse(p *process, args []string) error {
	flags := flag.NewFlagSet("tenant", flag.ContinueOnError)
	flags.StringVar(&c.addr, "addr", "127.0.0.1:8443", "the tenant's loopback `address`; port 0 is a free one")
	flags.StringVar(&c.control, "control", "127.0.0.1:8444", "the loopback `address` of the page and the control endpoint")
	flags.BoolVar(&c.plain, "http", false, "serve plain HTTP at http://localhost:PORT, which Entra never does and MSAL refuses")
	flags.StringVar(&c.ca, "ca", "", "the `file` of the CA's certificate, with its key beside it as .key; both are made if missing (default: beside -state)")
	stateFlag(flags, &c.state)
	flags.BoolVar(&c.starter, "init", false, "print a commented file to start from, and exit")
	flags.BoolVar(&c.asJSON, "json", false, "print what runs as JSON")
	flags.BoolVar(&c.verbosely, "v", false, "log each request and refusal to standard error")
	if err := parse(p, flags, tenantHelp, args); err != nil {
		return err
	}
	switch {
	case flags.NArg() > 1:
		return usagef("expected one FILE, after the flags, got %d arguments", flags.NArg())
	case c.plain && c.ca != "":
		return usagef("-http has no TLS, so -ca does nothing; remove one of them")
	case c.ca != "" && keyFileOf(c.ca) == c.ca:
		return usagef("-ca names the certificate, and its key is written to the same name with .key; choose a name such as ca.pem")
	}
	c.file = flags.Arg(0)
	for name, addr := range map[string]string{"-addr": c.addr, "-control": c.control} {
		if !isLoopbackAddress(addr) {
			return usagef("%s: expected a loopback address such as 127.0.0.1:8443; anyone gets any token here", name)
		}
	}
	return nil
}

func isLoopbackAddress(addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func keyFileOf(certificate string) string {
	return strings.TrimSuffix(certificate, filepath.Ext(certificate)) + ".key"
}

// run runs the tenants until ctx ends.
func (c *tenantCommand) run(ctx context.Context, p *process) error {
	spec, dir, err := c.spec()
	if err != nil {
		return err
	}
	if c.state, err = stateFile(c.state); err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.control)
	if err != nil {
		return fmt.Errorf("the page and the control endpoint: %w; choose another address with -control, or end the program that has it", err)
	}
	defer func() { _ = listener.Close() }() // when nothing serves it
	logger := slog.New(slog.DiscardHandler)
	if c.verbosely {
		logger = slog.New(slog.NewTextHandler(p.stderr, nil))
	}
	options := tenantfile.Options{Addr: c.addr, PlainHTTP: c.plain, Dir: dir, Logger: logger, Now: time.Now}
	if !c.plain {
		if options.CA, err = c.openCA(); err != nil {
			return err
		}
	}
	world, err := tenantfile.Start(spec, options)
	if err != nil {
		return err
	}
	defer world.Close()
	info := tenantcontrol.Describe(world)
	info.CA, info.KeyFile, info.PID = c.ca, c.state, os.Getpid()
	info.Page = "http://" + listener.Addr().String() + "/"
	info.Control = info.Page[:len(info.Page)-1] + tenantcontrol.Path
	state := tenantState{Control: info.Control, Key: tenantcontrol.NewKey()}
	if err := state.write(c.state); err != nil {
		return fmt.Errorf("cannot write the control key: %w; choose another file with -state", err)
	}
	defer state.remove(c.state)
	if err := c.announce(p, world, &info, state.Key); err != nil {
		return err
	}
	return serve(ctx, listener, tenantcontrol.New(world, state.Key, info, logger))
}

// spec reads the file, or the starter without one. Paths in the file are relative to it.
func (c *tenantCommand) spec() (*tenantfile.Spec, string, error) {
	data, name := tenantfile.Starter, "the starter file"
	if c.file != "" {
		var err error
		if data, err = yamlfile.ReadFile(c.file); errors.Is(err, fs.ErrNotExist) {
			return nil, "", fmt.Errorf("there is no file %s; mcp-entra tenant -init prints one to start from", c.file)
		} else if err != nil {
			return nil, "", err
		}
		name = c.file
	}
	spec, err := tenantfile.Read(data)
	if err != nil {
		return nil, "", fmt.Errorf("%s:\n%w", name, err)
	}
	return spec, filepath.Dir(c.file), nil
}

func (c *tenantCommand) openCA() (*entratest.CA, error) {
	if c.ca == "" {
		c.ca = filepath.Join(filepath.Dir(c.state), "tenant-ca.pem")
	}
	var err error
	if c.ca, err = filepath.Abs(c.ca); err != nil {
		return nil, err
	}
	return entratest.OpenCA(c.ca, keyFileOf(c.ca))
}

// serve serves the page and the control endpoint until ctx ends.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	_ = server.Close() // nothing here needs to be finished
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// announce prints what runs.
func (c *tenantCommand) announce(p *process, w *tenantfile.World, info *tenantcontrol.Info, key string) error {
	if c.asJSON {
		return printJSON(p.stdout, info)
	}
	_, err := fmt.Fprint(p.stdout, tenantText(w, info, key))
	return err
}
