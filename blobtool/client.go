package blobtool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
)

// storageResource is Azure Storage, in all clouds, and storageScope the only scope for
// which a user's credential is ever asked.
const (
	storageResource = "https://storage.azure.com"
	storageScope    = storageResource + "/.default"
)

// maxErrorBody bounds what is read of an answer that is no success: the SDK reads
// such bodies whole.
const maxErrorBody = 64 << 10

// maxListing bounds what is read of a page of a listing, for the same reason: 5,000
// names of 1,024 characters and their properties are less.
const maxListing = 64 << 20

// containerClient returns a client for a container that acts as the user of
// this call. It is made anew for each call, for 13 µs: a client keeps its
// credential's token, so it can't be shared between users.
func (s *Set) containerClient(ctx context.Context, name string) (*container.Client, error) {
	cred, err := s.userCredential(ctx)
	if err != nil {
		return nil, err
	}
	client, err := container.NewClient(s.serviceURL+"/"+name, cred, &container.ClientOptions{ClientOptions: s.clientOptions()})
	if err != nil {
		return nil, fmt.Errorf("blobtool: making a client: %w", err)
	}
	return client, nil
}

// blobClient returns a client for a blob that acts as the user of this call.
func (s *Set) blobClient(ctx context.Context, at location, versionID string) (*blob.Client, error) {
	in, err := s.containerClient(ctx, at.container)
	if err != nil {
		return nil, err
	}
	return blobIn(in, at, versionID)
}

// blobIn returns a client for one version of a blob, or for the current one if
// versionID, which must have been checked, is empty.
func blobIn(in *container.Client, at location, versionID string) (*blob.Client, error) {
	client := in.NewBlobClient(at.blob)
	if versionID == "" {
		return client, nil
	}
	client, err := client.WithVersionID(versionID)
	if err != nil {
		return nil, fmt.Errorf("blobtool: making a client: %w", err)
	}
	return client, nil
}

// serviceClient returns a client for the account that acts as the user of this call.
func (s *Set) serviceClient(ctx context.Context) (*service.Client, error) {
	cred, err := s.userCredential(ctx)
	if err != nil {
		return nil, err
	}
	client, err := service.NewClient(s.serviceURL+"/", cred, &service.ClientOptions{ClientOptions: s.clientOptions()})
	if err != nil {
		return nil, fmt.Errorf("blobtool: making a client: %w", err)
	}
	return client, nil
}

func (s *Set) clientOptions() policy.ClientOptions {
	return policy.ClientOptions{
		Transport: s.transport,
		// A call is short and a person waits: two more tries, and what
		// takes longer is for the caller to decide.
		Retry:     policy.RetryOptions{MaxRetries: 2, RetryDelay: 200 * time.Millisecond, MaxRetryDelay: 2 * time.Second},
		Telemetry: policy.TelemetryOptions{ApplicationID: "mcp-entra-go"},
	}
}

// userCredential returns the credential of this call's user.
func (s *Set) userCredential(ctx context.Context) (*userCredential, error) {
	cred, err := s.credential(ctx)
	if err != nil {
		return nil, credentialFailure(err)
	}
	if cred == nil {
		return nil, credentialFailure(errors.New("the CredentialFunc returned neither a credential nor an error"))
	}
	return &userCredential{cred}, nil
}

// userCredential passes on requests for the storage scope alone. The SDK takes
// the scope from the challenge of a 401, so a hostile endpoint could else ask
// for a token for Microsoft Graph.
type userCredential struct {
	cred azcore.TokenCredential
}

// GetToken implements [azcore.TokenCredential].
func (u *userCredential) GetToken(ctx context.Context, opts policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if len(opts.Scopes) != 1 || opts.Scopes[0] != storageScope {
		return azcore.AccessToken{}, failuref(ErrWrongAudience,
			"The storage service asked for a token for another resource; it gets tokens for https://storage.azure.com only. "+
				"Tell the operator of this server to check the URL of the storage account.")
	}
	token, err := u.cred.GetToken(ctx, opts)
	if err != nil {
		return azcore.AccessToken{}, credentialFailure(err)
	}
	return token, nil
}

// credentialFailure returns the error of a user's credential with a text for the
// caller: its own if it has one.
func credentialFailure(err error) *Error {
	text, ok := userText(err)
	if !ok {
		text = "There is no token for Azure Storage on behalf of the signed-in user. Sign in again; if that does not help, tell the operator of this server: its log has the cause."
	}
	return &Error{Kind: ErrCredential, text: text, cause: err}
}

// transport sends the requests of all users' clients.
type transport struct {
	client *http.Client
	stall  time.Duration // how long nothing may arrive
}

// newTransport takes over a client but for redirects, which could lead anywhere,
// and cookies, which would be shared between users.
func newTransport(client *http.Client) *transport {
	own := http.Client{Transport: defaultRoundTripper()}
	if client != nil {
		own = *client
	}
	own.Jar = nil
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &transport{client: &own, stall: stallTimeout}
}

func defaultRoundTripper() http.RoundTripper {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConns:          256,
		MaxIdleConnsPerHost:   64,
	}
}

// Do implements [policy.Transporter].
func (t *transport) Do(req *http.Request) (*http.Response, error) {
	// Without this, Go asks for gzip by itself and unpacks a blob whose property
	// Content-Encoding is gzip: sizes and ranges would no longer be the blob's.
	req.Header.Set("Accept-Encoding", "identity")
	watch := newStallWatch(req.Context(), t.stall)
	resp, err := t.client.Do(req.WithContext(watch.ctx)) // host and container are fixed, the blob's name is escaped
	if err != nil {
		return nil, watch.end(err)
	}
	watch.pause()
	limit := int64(math.MaxInt64) // of a blob, which is read as far as it is wanted
	if resp.StatusCode >= http.StatusMultipleChoices {
		limit = maxErrorBody
	} else if req.URL.Query().Has("comp") {
		limit = maxListing
	}
	resp.Body = &watchedBody{io.LimitReader(resp.Body, limit), resp.Body, watch}
	if limit == maxListing {
		if err := readListing(req.Context(), resp); err != nil {
			return nil, err
		}
	}
	return resp, nil
}

// readListing reads all of a page, which takes long to parse: that begins with a core.
func readListing(ctx context.Context, resp *http.Response) error {
	page, err := io.ReadAll(resp.Body)
	if closed := resp.Body.Close(); err == nil {
		err = closed
	}
	resp.Body = io.NopCloser(bytes.NewReader(page))
	if err != nil {
		return err
	}
	return beginParsing(ctx)
}
