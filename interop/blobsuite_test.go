//go:build unix

package interop_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	azcontainer "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// A behavior is something that clients see of a Blob service. It returns what it
// has found wrong.
type behavior struct {
	name string
	try  func(p *place) error

	options blobtest.Options // of the account on blobtest

	// notOnAzurite says why only blobtest can do it. The behavior is tried on
	// Azurite all the same, and must fail: if a new Azurite can, this table is
	// to be changed.
	notOnAzurite string
}

// TestBlobSuite tries one table of behaviors on blobtest and on Azurite: what
// blobtest claims to be like Azure, another implementation agrees with.
func TestBlobSuite(t *testing.T) {
	t.Parallel()
	newBlobAccounts(deadline(t, 3*time.Minute), t).try(t, "suite", blobBehaviours)
}

// try tries a table on both implementations, each behavior in a container of its own.
func (a *blobAccounts) try(t *testing.T, prefix string, table []behavior) {
	for i, b := range table {
		name := fmt.Sprintf("%s-%02d", prefix, i)
		t.Run("blobtest/"+b.name, func(t *testing.T) {
			must(t, b.try(a.blobtest(t, b.options).place(a.ctx, t, name)))
		})
		t.Run("azurite/"+b.name, func(t *testing.T) {
			err := b.try(a.azurite(t).place(a.ctx, t, name))
			switch {
			case b.notOnAzurite == "":
				must(t, err)
			case err == nil:
				t.Errorf("Azurite can do what the table says it can't: %s", b.notOnAzurite)
			default:
				t.Logf("blobtest only: %s (%v)", b.notOnAzurite, err)
			}
		})
	}
}

// blobAccounts are accounts of both implementations, for the users of one tenant.
type blobAccounts struct {
	ctx        context.Context
	tenant     *entratest.Tenant
	alice, bob *entratest.User // bob has no role
	client     *entratest.App
	emulator   *azurite
}

func newBlobAccounts(ctx context.Context, t testing.TB) *blobAccounts {
	t.Helper()
	a := &blobAccounts{ctx: ctx, tenant: entratest.NewTenant(nil)}
	t.Cleanup(a.tenant.Close)
	a.alice, a.bob = a.tenant.AddUser("alice@contoso.example", "Alice"), a.tenant.AddUser("bob@contoso.example", "Bob")
	a.client = a.tenant.AddClient("client")
	a.emulator = startAzurite(ctx, t, newCertificate(t), "0")
	return a
}

// blobtest returns a new account of blobtest.
func (a *blobAccounts) blobtest(t testing.TB, o blobtest.Options) *blobService {
	t.Helper()
	o.Key, o.Issuer, o.Account = a.tenant.PublicKey, a.tenant.V1Issuer(), azuriteAccount
	box := blobtest.NewServer(&o)
	t.Cleanup(box.Close)
	box.GrantOwner(a.alice.ObjectID, "", "")
	return &blobService{url: box.URL(), http: box.HTTPClient(), stock: boxStock{box}, user: a.token(a.alice), stranger: a.token(a.bob)}
}

// azurite returns the one account of Azurite.
func (a *blobAccounts) azurite(t testing.TB) *blobService {
	t.Helper()
	return &blobService{
		url: a.emulator.accountURL(), http: a.emulator.client, stock: a.emulator.stock(t),
		user: a.token(a.alice), stranger: a.token(a.bob),
	}
}

func (a *blobAccounts) token(user *entratest.User) fixedToken {
	return fixedToken(a.tenant.Token(user, a.client, a.tenant.Storage(), "user_impersonation"))
}

// A blobService is an implementation, and what users have to reach it.
type blobService struct {
	url      string // of the account
	http     *http.Client
	stock    stock
	user     fixedToken // of who may do everything in the account
	stranger fixedToken // of who has no role
}

// A stock puts things into an account, beside the clients that are tried.
type stock interface {
	addContainer(ctx context.Context, name string, metadata map[string]string) error
	put(ctx context.Context, container, blob string, data []byte, p blobtest.Properties) error
	snapshot(ctx context.Context, container, blob string) (id string, err error)
	remove(ctx context.Context, container, blob string) error
}

// A place is where a behavior is tried: a container of its own, and the user's
// clients.
type place struct {
	*blobService
	ctx       context.Context
	container string
	account   *service.Client
	blobs     *azcontainer.Client
}

func (s *blobService) place(ctx context.Context, t testing.TB, name string) *place {
	t.Helper()
	account, err := s.client(s.user)
	must(t, err)
	must(t, s.stock.addContainer(ctx, name, nil))
	return &place{blobService: s, ctx: ctx, container: name, account: account, blobs: account.NewContainerClient(name)}
}

// client returns azblob's client of the account, of that user.
func (s *blobService) client(user fixedToken) (*service.Client, error) {
	return service.NewClient(s.url, user, &service.ClientOptions{ClientOptions: policy.ClientOptions{
		Transport: s.http,
		Retry:     policy.RetryOptions{MaxRetries: -1},
	}})
}

// put stores blobs of a line each.
func (p *place) put(names ...string) error {
	for _, name := range names {
		if err := p.stock.put(p.ctx, p.container, name, []byte(name+"\n"), blobtest.Properties{ContentType: "text/plain"}); err != nil {
			return err
		}
	}
	return nil
}

// differs returns an error unless got is want.
func differs(what string, got, want any) error {
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%s: got %#v, want %#v", what, got, want)
	}
	return nil
}

// refusedWith returns an error unless err is an answer with that status and code.
func refusedWith(what string, err error, status int, code string) error {
	var r *azcore.ResponseError
	if !errors.As(err, &r) || r.StatusCode != status || r.ErrorCode != code {
		got := fmt.Sprint(err)
		if r != nil { // its text is a whole answer
			got = fmt.Sprintf("%d %s", r.StatusCode, r.ErrorCode)
		}
		return fmt.Errorf("%s: got %s, want %d %s", what, got, status, code)
	}
	return nil
}

func sorted(names []string) string {
	slices.Sort(names)
	return strings.Join(names, " ")
}
