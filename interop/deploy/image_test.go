//go:build image && linux

package deploy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// TestImage builds the Dockerfile, without a registry, and runs the image as platforms do: another
// user, no capabilities, a read-only root. It needs root, buildah and busybox-static; make image
// brings them.
func TestImage(t *testing.T) {
	b := newBuilder(t)
	b.makeGoImage(t)
	b.run(t, "bud", "--isolation", "chroot", "--pull-never", "--format", "docker", "--build-arg", "GO_IMAGE="+goImage,
		"--volume", b.goEnv(t, "GOMODCACHE")+"/cache/download:/proxy:ro", "--volume", b.goEnv(t, "GOCACHE")+":/cache", "-t", "mcp-server", b.root)
	container := b.run(t, "from", "--pull-never", "mcp-server")
	root := b.run(t, "mount", container)
	t.Run("contents", func(t *testing.T) { checkContents(t, root) })
	t.Run("configuration", func(t *testing.T) { b.checkConfiguration(t) })
	t.Run("run", func(t *testing.T) { checkRun(t, root) })
}

const goImage = "docker.io/library/golang:1.26.8-bookworm"

// A builder is buildah with storage of its own, removed with the test.
type builder struct{ root, storage string }

func newBuilder(t *testing.T) builder {
	t.Helper()
	for _, program := range []string{"buildah", "busybox", "unshare"} {
		if _, err := exec.LookPath(program); err != nil || os.Geteuid() != 0 {
			t.Fatalf("%v, user %d; run make image as root", err, os.Geteuid())
		}
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	storage, err := os.MkdirTemp("", "image-")
	if err != nil {
		t.Fatal(err)
	}
	b := builder{root, storage}
	t.Cleanup(func() {
		_ = b.command(context.Background(), "umount", "--all").Run()
		if err := os.RemoveAll(storage); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b builder) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "buildah", append([]string{"--root", b.storage + "/root", "--runroot", b.storage + "/run", "--storage-driver", "vfs"}, args...)...)
}

// run returns the last line that buildah prints.
func (b builder) run(t *testing.T, args ...string) string {
	t.Helper()
	var out, problem bytes.Buffer
	cmd := b.command(t.Context(), args...)
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, &out, &problem)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	return lines[len(lines)-1]
}

func (b builder) goEnv(t *testing.T, name string) string {
	t.Helper()
	return output(t, b.root, "go", "env", name)
}

// makeGoImage stands in for the official image: this machine's Go, a shell, and certificates. Its
// proxy is this machine's module cache.
func (b builder) makeGoImage(t *testing.T) {
	t.Helper()
	output(t, b.root, "go", "mod", "download") // what the cache lacks yet
	_, tool, _ := strings.Cut(string(read(t, filepath.Join(b.root, "Dockerfile"))), "\nARG CYCLONEDX=")
	tool, _, _ = strings.Cut(tool, "\n")
	output(t, b.root, "go", "run", tool, "version")
	container := b.run(t, "from", "scratch")
	root := b.run(t, "mount", container)
	for _, dir := range []string{"bin", "tmp", "etc/ssl/certs", "usr/local", "root"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	output(t, "/", "cp", busybox, root+"/bin/busybox")
	for _, name := range []string{"sh", "mkdir", "cp", "chmod", "chown"} {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", name)); err != nil {
			t.Fatal(err)
		}
	}
	output(t, "/", "cp", "-a", b.goEnv(t, "GOROOT"), root+"/usr/local/go")
	output(t, "/", "cp", "-L", "/etc/ssl/certs/ca-certificates.crt", root+"/etc/ssl/certs/")
	b.run(t, "config", "--env", "PATH=/usr/local/go/bin:/bin", "--env", "GOPATH=/go", "--env", "GOCACHE=/cache", "--env", "HOME=/root",
		"--env", "GOPROXY=file:///proxy", "--env", "GOSUMDB=off", "--env", "GOFLAGS=-modcacherw", container)
	b.run(t, "commit", "--quiet", container, goImage)
	b.run(t, "rm", container)
}

// checkContents looks at every file of the image.
func checkContents(t *testing.T, root string) {
	t.Helper()
	var got []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return fmt.Errorf("%s has no owner", path)
		}
		got = append(got, fmt.Sprintf("%s %s %d:%d", strings.TrimPrefix(path, root), info.Mode(), stat.Uid, stat.Gid))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"/downloads drwx------ 65532:65532", "/etc drwxr-xr-x 0:0", "/etc/ssl drwxr-xr-x 0:0", "/etc/ssl/certs drwxr-xr-x 0:0",
		"/etc/ssl/certs/ca-certificates.crt -rw-r--r-- 0:0", "/server -rwxr-xr-x 0:0", "/server.cdx.json -rw-r--r-- 0:0", "/tmp dtrwxrwxrwx 0:0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the image has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	bill := string(read(t, root+"/server.cdx.json"))
	for _, text := range []string{`"bomFormat": "CycloneDX"`, "github.com/modelcontextprotocol/go-sdk", "github.com/golang-jwt/jwt/v5"} {
		if !strings.Contains(bill, text) {
			t.Errorf("the SBOM does not have %s", text)
		}
	}
	if out := output(t, "/", "go", "version", "-m", root+"/server"); !strings.Contains(out, "CGO_ENABLED=0") {
		t.Errorf("the binary is not static:\n%s", out)
	}
}

// checkConfiguration reads what platforms read.
func (b builder) checkConfiguration(t *testing.T) {
	t.Helper()
	out, err := b.command(t.Context(), "inspect", "--type", "image", "mcp-server").Output()
	if err != nil {
		t.Fatal(err)
	}
	var image struct {
		Docker struct {
			Config json.RawMessage `json:"config"`
		}
	}
	var config bytes.Buffer
	if err := json.Unmarshal(out, &image); err != nil {
		t.Fatal(err)
	}
	if err := json.Compact(&config, image.Docker.Config); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{`"User":"65532:65532"`, `"8000/tcp"`, `"Entrypoint":["/server"]`, `["CMD","/server","-health"]`, `"HOST=0.0.0.0"`, `"DOWNLOAD_DIR=/downloads"`} {
		if !strings.Contains(config.String(), text) {
			t.Errorf("the image's configuration does not have %s:\n%s", text, &config)
		}
	}
}

// confined runs its first argument with the rest as a confined process: user 65532, no capabilities,
// the image as a read-only root, $DOWNLOADS and $CERTIFICATE mounted, and the /etc/hosts that every
// platform adds.
const confined = `set -e
mount --bind "$ROOT" "$ROOT"
mount --bind "$DOWNLOADS" "$ROOT/downloads"
mount -t tmpfs -o size=1m,mode=1777 tmpfs "$ROOT/tmp"
cp "$CERTIFICATE" "$ROOT/tmp/ca.pem"
cp /etc/hosts "$ROOT/etc/hosts"
mount -o remount,bind,ro "$ROOT"
root=$ROOT
unset ROOT DOWNLOADS CERTIFICATE
exec setpriv --no-new-privs chroot --userspec=65532:65532 --groups= "$root" "$@"`

// checkRun calls the tools of a confined server, and stops it.
func checkRun(t *testing.T, root string) {
	t.Helper()
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	blobs := blobtest.NewServer(&blobtest.Options{Key: tenant.PublicKey, Issuer: tenant.V1Issuer()})
	defer blobs.Close()
	api, client, alice := tenant.AddApp("API", "access_as_user"), tenant.AddClient("client"), tenant.AddUser("alice@contoso.example", "Alice")
	api.RequirePermissions(tenant.Storage(), "user_impersonation")
	tenant.Consent(client, api)
	tenant.ConsentUser(alice, api, tenant.Storage())
	blobs.AddContainer("docs")
	blobs.Put("docs", "a.txt", []byte("hello"), "text/plain")
	blobs.Grant(alice.ObjectID, "docs", "")

	dir := t.TempDir()
	downloads, certificate := filepath.Join(dir, "downloads"), filepath.Join(dir, "ca.pem")
	if err := errors.Join(os.Mkdir(downloads, 0o700), os.Chown(downloads, 65532, 65532),
		os.WriteFile(certificate, append(tenant.CertificatePEM(), blobs.CertificatePEM()...), 0o600), os.Chmod(certificate, 0o644)); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	environment := []string{"PATH=" + os.Getenv("PATH"), "ROOT=" + root, "DOWNLOADS=" + downloads, "CERTIFICATE=" + certificate,
		"SSL_CERT_FILE=/tmp/ca.pem", "HOST=0.0.0.0", "PORT=" + port, "DOWNLOAD_DIR=/downloads", "LOG_FORMAT=json",
		"TENANT_ID=" + tenant.ID(), "API_APP_ID=" + api.ClientID, "AZURE_AUTHORITY_HOST=" + tenant.AuthorityHost() + "/", "PUBLIC_URL=http://localhost:" + port,
		"USE_OBO_FLOW=true", "ENTRA_APP_CLIENT_SECRET=" + api.AddSecret(), "AZURE_STORAGE_ACCOUNT_URL=" + blobs.URL(), "AZURE_STORAGE_CONTAINER=docs"}
	run := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), "unshare", append([]string{"-m", "sh", "-c", confined, "sh"}, args...)...)
		cmd.Env = environment
		return cmd
	}
	if out, err := run("/server", "-health").CombinedOutput(); err == nil || !strings.Contains(string(out), "does not answer") {
		t.Errorf("-health before the start = %v, %s; want that nobody answers", err, out)
	}
	server := run("/server")
	log := &bytes.Buffer{}
	server.Stderr = log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	stop := func() error { _ = server.Process.Signal(syscall.SIGTERM); return <-ended }
	for healthy := false; !healthy; {
		out, err := run("/server", "-health").CombinedOutput()
		if healthy = err == nil; healthy {
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("the server ended: %v\n%s", err, log)
		case <-t.Context().Done():
			t.Fatalf("not healthy: %s", out)
		case <-time.After(100 * time.Millisecond):
		}
	}
	status := string(read(t, fmt.Sprintf("/proc/%d/status", server.Process.Pid)))
	for _, line := range []string{"Uid:\t65532\t65532\t65532\t65532", "CapEff:\t0000000000000000", "NoNewPrivs:\t1"} {
		if !strings.Contains(status, line+"\n") {
			t.Errorf("the process has not %q:\n%s", line, status)
		}
	}
	mounts := string(read(t, fmt.Sprintf("/proc/%d/mounts", server.Process.Pid)))
	if !slices.ContainsFunc(strings.Split(mounts, "\n"), func(line string) bool {
		f := strings.Fields(line)
		return len(f) > 3 && f[1] == "/" && strings.HasPrefix(f[3], "ro")
	}) {
		t.Errorf("the root is not read-only:\n%s", mounts)
	}
	checkCalls(t, "http://localhost:"+port+"/mcp", tenant, alice, client, api, downloads)
	if err := stop(); err != nil || !strings.Contains(log.String(), `"msg":"stopped"`) {
		t.Errorf("after SIGTERM: %v\n%s", err, log)
	}
}

// checkCalls reads a blob as Alice, and finds her copy on the volume.
func checkCalls(t *testing.T, endpoint string, tenant *entratest.Tenant, alice *entratest.User, client, api *entratest.App, downloads string) {
	t.Helper()
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(),
		&mcp.StreamableClientTransport{Endpoint: endpoint, HTTPClient: tenant.UserClient(alice, client, api, "access_as_user"), DisableStandaloneSSE: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = session.Close() }()
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "read_blob_with_token", Arguments: map[string]any{"blob_path": "a.txt"}})
	if err != nil || result.IsError {
		t.Fatalf("read_blob_with_token = %+v, %v", result, err)
	}
	copied := filepath.Join(downloads, tenant.ID()+"."+alice.ObjectID, "a.txt")
	info, err := os.Stat(copied)
	if err != nil {
		t.Fatal(err)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || stat.Uid != 65532 || string(read(t, copied)) != "hello" {
		t.Errorf("the copy is %v with %q, want the server's, hello", info, read(t, copied))
	}
}

func output(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "GOWORK=off")
	var problem bytes.Buffer
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, &problem)
	}
	return strings.TrimSpace(string(out))
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
