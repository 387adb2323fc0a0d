package clientauth

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

// WorkloadIdentity proves the app with a token that the platform writes into a
// file, and that the app registration trusts as federated credential: on
// Kubernetes the projected token of a service account, whose path Azure's
// webhook puts into AZURE_FEDERATED_TOKEN_FILE. The app must be the one that the
// federated credential was added to; if that is a managed identity, use
// [WorkloadManagedIdentity].
//
// The file is read for each exchange, since the platform rewrites it. It need
// not be there yet when the exchanger is made.
func WorkloadIdentity(file string) Method {
	return method("workload identity", func(clientcred.Environment) ([]clientcred.Source, error) {
		return []clientcred.Source{workloadSource{file}}, checkTokenPath(file)
	})
}

type workloadSource struct{ file string }

func (workloadSource) Kind() string { return "workload identity" }

// Refused lets the file be read again.
func (workloadSource) Refused() bool { return true }

func (s workloadSource) Credential(context.Context) (clientcred.Proof, error) {
	token, err := readToken(s.file)
	if err != nil {
		return clientcred.Proof{}, err
	}
	return clientcred.Assertion(secret.New(token)), nil
}

func checkTokenPath(file string) error {
	if file == "" {
		return errors.New("the path of the projected token (AZURE_FEDERATED_TOKEN_FILE) is empty")
	}
	return nil
}

// readToken returns the token that the platform has written.
func readToken(file string) (string, error) {
	content, err := readFile(file, maxClientAssertion)
	if err == nil {
		token := strings.TrimSpace(string(content))
		if err = checkAssertion(token); err == nil {
			return token, nil
		}
		err = fmt.Errorf("the content of %s is no signed JWT: %w", file, err)
	}
	return "", &clientcred.Error{
		Problem: "the server's projected token can't be read",
		Remedy:  "the operator must check the workload identity of the server's pod: its label, its service account and the mounted file (see the server's log)",
		Cause:   err,
	}
}
