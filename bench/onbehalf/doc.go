// Package onbehalf holds the ways of Go to exchange a user's token with Entra's
// On-Behalf-Of flow side by side: ours, MSAL Go's and azidentity's, each on a
// token endpoint in memory. It measures what a cached token costs and counts the
// requests that Entra would see.
//
// Program onbehalf/compare prints the table.
package onbehalf
