// Package live compares the shape of what package entratest answers with the real
// Entra's: members of metadata, of keys and of errors, in three clouds. It needs no account, and
// sends nothing but requests that anybody may send:
//
//	cd interop && ENTRA_LIVE=1 go test -v ./live
//
// Without ENTRA_LIVE it compares entratest with itself, which shows that the comparison
// works, and nothing else. CHECKLIST.md is for someone who has a tenant. Neither the run
// against Entra nor the checklist has been done yet.
package live
