package main

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
)

// surroundings are what the server uses apart from its configuration. Tests and the demo set them.
// The zero value logs nothing and uses the system's trusted certificates.
type surroundings struct {
	log       *slog.Logger
	authority *http.Client // for requests to Entra
	storage   *http.Client // for requests to Azure Storage
	origins   []string     // of web pages that may call the server
}

// assemble returns the documented server and a function that stops its background work. publicURL
// is the origin that clients use; the resource URL is publicURL plus /mcp.
func assemble(c serverconfig.Config, publicURL string, s surroundings) (_ *mcpentra.Server, closeAll func(), err error) {
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	verifier, err := entraauth.NewVerifier(c.TenantID, c.APIAppID, &entraauth.Options{
		HTTPClient: s.authority, Logger: s.log, AuthorityHost: c.AuthorityHost,
	})
	if err != nil {
		return nil, nil, err
	}
	closeAll = func() { _ = verifier.Close() }
	defer func() {
		if err != nil {
			closeAll()
		}
	}()
	blobs, err := blobTools(c, s)
	if err != nil {
		return nil, nil, err
	}
	options := []mcpentra.Option{
		mcpentra.WithLogger(s.log),
		mcpentra.WithAllowedOrigins(s.origins...),
		mcpentra.WithTools(mcpentra.IdentityTools(verifier), newTokenTool(c), blobs),
	}
	if c.OBO {
		exchanger, err := obo.NewExchanger(c.TenantID, c.APIAppID, c.Method, &obo.Options{
			HTTPClient: s.authority, Logger: s.log, AuthorityHost: c.AuthorityHost, Resources: c.Audiences,
			RedirectURL: c.ConsentURL,
		})
		if err != nil {
			return nil, nil, err
		}
		options = append(options, mcpentra.WithExchanger(exchanger))
	}
	if len(c.StateKeys) > 0 {
		options = append(options, mcpentra.WithStateKeys(c.StateKeys...))
	}
	server, err := mcpentra.NewServer(publicURL+"/mcp", verifier, options...)
	if err != nil {
		return nil, nil, err
	}
	return server, closeAll, nil
}

// blobTools returns the container's tools, or placeholders if it is not configured.
func blobTools(c serverconfig.Config, s surroundings) (mcpentra.ToolSet, error) {
	if missing := c.MissingStorage(); len(missing) > 0 {
		return unconfiguredBlobs{why: storageMissing(missing, c.OBO)}, nil
	}
	credential := mcpentra.Credential
	if !c.OBO {
		credential = func(context.Context) (azcore.TokenCredential, error) { return nil, errOBOOff }
	}
	return blobtool.New(c.StorageURL, c.Container, credential, &blobtool.Options{
		HTTPClient: s.storage, Logger: s.log, DownloadDir: c.DownloadDir,
		Tools: []string{"read_blob_with_token"}, // only this one: the documented server has four tools
	})
}
