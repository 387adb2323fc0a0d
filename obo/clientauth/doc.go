// Package clientauth holds the ways in which the app that exchanges tokens
// proves itself to Microsoft Entra ID. Choose one and give it to
// obo.NewExchanger:
//
//	clientauth.ManagedIdentity(identityClientID)               // on Azure: no secret anywhere
//	clientauth.WorkloadIdentity(file)                          // on Kubernetes: neither
//	clientauth.WorkloadManagedIdentity(file, identityClientID) // on AKS, through a managed identity
//	clientauth.CertificateFile(path, password)                 // PEM or PFX, read again when it changes
//	clientauth.Secret(value)                                   // on a developer's machine
//	clientauth.Func(assertion)                                 // any source of client assertions
//	clientauth.Chain(first, second)                            // the second when the first is refused
//
// A managed identity and a Kubernetes service account work after the app
// registration has been told to trust them: Certificates & secrets, Federated
// credentials, Add credential. Issuer, subject and audience of that entry are
// compared exactly, case included (AADSTS700213 and its kin).
//
// An exchange whose proof Entra finds out of date or wrongly signed (AADSTS700024,
// 700027) makes a new one and is sent once more, except with a secret, which
// has no other.
package clientauth
