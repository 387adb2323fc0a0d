// Package clientauth holds the ways in which the app that exchanges tokens
// proves itself to Microsoft Entra ID. Choose one and give it to
// obo.NewExchanger:
//
//	clientauth.ManagedIdentity(identityClientID) // on Azure: no secret anywhere
//	clientauth.Secret(value)                     // on a developer's machine
//	clientauth.Func(assertion)                   // any source of client assertions
//
// A managed identity works after the app registration has been told to trust
// it: Certificates & secrets, Federated credentials, Add credential, Managed
// identity. Issuer, subject and audience of that entry are compared exactly,
// case included (AADSTS700213 and its kin).
package clientauth
