// Package clientauth provides the methods with which an app authenticates to
// Microsoft Entra ID. Choose one and pass it to obo.NewExchanger:
//
//	clientauth.ManagedIdentity(identityClientID)               // on Azure: no secret anywhere
//	clientauth.WorkloadIdentity(file)                          // on Kubernetes: no secret either
//	clientauth.WorkloadManagedIdentity(file, identityClientID) // on AKS, through a managed identity
//	clientauth.CertificateFile(path, password)                 // PEM or PFX; a renewed file is used at once
//	clientauth.Secret(value)                                   // on a developer's machine
//	clientauth.Func(assertion)                                 // any source of client assertions
//	clientauth.Chain(first, second)                            // the second if the first doesn't work
//
// The app registration must first trust a managed identity or a Kubernetes service
// account: Certificates & secrets, Federated credentials, Add credential. Entra compares
// issuer, subject and audience of that entry exactly, including case (AADSTS700213 and
// related codes).
//
// If Entra says that a credential has expired or is wrongly signed (AADSTS700024,
// 700027), the exchanger gets a new one and retries once, except with a secret.
package clientauth
