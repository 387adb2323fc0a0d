// Package bench holds the ways of verifying Entra's access tokens in Go side by
// side: ours and those of other libraries. It measures what each costs and asks
// what each accepts, on a tenant of entratest.
//
// It is a module of its own, so that nobody who uses ours downloads the others.
// Program compare prints the tables.
package bench
