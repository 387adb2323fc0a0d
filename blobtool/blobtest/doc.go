// Package blobtest is a Blob service in a box, for tests, examples and demos of
// code that reads and writes Azure Blob Storage: it is to azblob what
// [net/http/httptest] is to net/http.
//
// A [Server] serves one storage account over https on loopback, in memory:
//
//	srv := blobtest.New(t, &blobtest.Options{Key: tenant.PublicKey, Issuer: tenant.V1Issuer()})
//	srv.Put("docs", "hello.txt", []byte("Hello"), "text/plain")
//	srv.Grant(alice.ObjectID, "docs", "")
//	client, err := azblob.NewClient(srv.URL(), credential, &azblob.ClientOptions{
//		ClientOptions: policy.ClientOptions{Transport: srv.HTTPClient()},
//	})
//
// # What it serves
//
// Get Blob (with x-ms-range and Range, and the MD5 or CRC64 of a range), Get Blob
// Properties and Get Blob Tags, of blobs, versions and snapshots, with conditional
// headers, including x-ms-if-tags; List Blobs (flat and by hierarchy: prefix,
// delimiter, marker, maxresults, include); Find Blobs by Tags, in the account and in a
// container; List Containers and Get Container Properties.
//
// And what changes blobs, with conditions, leases and hashes checked: Put Blob (block and append
// blobs), Put Block, Put Block List, Get Block List, Append Block, Put Blob From URL, Put Block From
// URL and Copy Blob From URL (from this account or one [Options.Beside] it, with a token for the
// source), Set Blob Metadata, Set Blob Properties, Set Blob Tags, Snapshot Blob, Lease Blob, Delete
// Blob and Undelete Blob. Blocks die a week after the last of them, leases and soft-deleted blobs in
// their time, by [Options.Now].
//
// Answers follow Microsoft's REST reference (learn.microsoft.com/rest/api/storageservices). Errors
// have Azure's codes, in XML and in x-ms-error-code, which is all that a HEAD has. Where nothing
// says what Azure does, the stricter guess was taken, and a comment says "unknown". Names of metadata
// that a request sets are in lower case, where Azure keeps their spelling.
//
// Content can also be added by Go calls, which no lease or policy stops: [Server.Put],
// [Server.PutAppend], [Server.Append], [Server.Update] for properties, metadata, tags, tier and
// another's lease, [Server.Snapshot], [Server.Delete]. An account can have versions, soft delete or a
// hierarchical namespace (see [Options]), and immutable blobs: [Server.SetRetention],
// [Server.SetLegalHold], [Server.SetImmutableUntil].
//
// Content need not be in memory: [Server.PutGenerated] serves any range of 5 TiB,
// and [Server.PutSeries] lists and serves a million blobs, from functions.
//
// # What it rejects
//
// Nothing in a request is silently ignored.
//
//   - Other operations of Azure, such as those of page blobs and the asynchronous Copy Blob, answer
//     405 UnsupportedHttpVerb; a comp or restype that Azure does not know answers 400
//     InvalidQueryParameterValue.
//   - A parameter or x-ms header that the operation does not support here, or If-Range,
//     answers 400 UnsupportedQueryParameter, UnsupportedHeader or, for a condition,
//     ConditionHeadersNotSupported; one that can't be parsed, or that appears twice,
//     InvalidQueryParameterValue or InvalidHeaderValue. So does a range in any form other
//     than bytes=first-last and bytes=first-, and a hash without a range.
//   - Invalid container names answer 400 InvalidResourceName or, for their length,
//     OutOfRangeInput, although the Go calls accept them; so do blob names of more than
//     1024 characters. Blob names with dot segments, more than 254 segments or
//     broken UTF-8 answer 400 InvalidUri.
//   - x-ms-version must be a date from 2017-11-09 on, when the service began to take
//     Entra's tokens. Without it a request counts as one of the newest version, where
//     Azure would refuse it. The version does not change any answer.
//
// A request with x-ms-if-tags requires the right to read tags. The order in which Azure checks all
// this is not documented.
//
// # Authorization
//
// Like the real service, and unlike the Azurite emulator, it enforces two things.
// The bearer token must be an Entra token: signed (RS256) by a key of
// [Options.Key], from [Options.Issuer], for [Options.Audience], within nbf and
// exp, of the tenant; a delegated one must have the scope user_impersonation.
// Otherwise the answer is 401 with the storage challenge
//
//	WWW-Authenticate: Bearer authorization_uri=https://login.microsoftonline.com/{tid}/oauth2/authorize resource_id=https://storage.azure.com
//
// And the token's object (oid) must have been given a role: Storage Blob Data Reader with
// [Server.Grant], to write and delete Contributor with [Server.GrantContributor], for tags and to
// delete versions Owner with [Server.GrantOwner]. Otherwise the answer is 403
// AuthorizationPermissionMismatch, whether or not the blob exists.
//
// # Faults
//
// [Server.Fail] makes it throttle, reject, fail, wait, stall, trickle, or close the
// connection in the middle of a body: for all requests, or for those of one
// [Operation] or blob. With [Fault.Served] the request has been served when its answer is lost.
// [Server.OnRequest] is the place for what others do between two requests. [Server.Requests] and [Server.Count] show what was requested.
// Package entratest, a double of Entra ID, uses the same words for the same things.
//
// Content is in memory only, and is gone when the server closes.
package blobtest
