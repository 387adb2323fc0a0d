// Package soak runs three replicas of a server under the calls of a thousand users, while signing keys
// are rotated, Entra and storage fail in known ways, and two of the replicas are deployed again and
// again. It needs redis-server, and takes a minute:
//
//	cd interop && go test -v ./soak
//
// or, as make soak runs it, the time that SOAK says:
//
//	make soak SOAK=10m
//
// # What runs
//
// Package replica is the server, a process of its own, with everything on: tools that act on behalf of
// their caller, blob tools, policies, sessions, sign-ins through the authorization proxy, and Redis for
// what replicas share. The test holds the rest: package entratest as Entra, package blobtest as
// storage, the users' clients, and a balancer that follows /ready and retries refused connections
// alone. Clients call one call after another, so the load is what the machine can do.
//
// Replicas A and B are deployed in turn. Replica C lives as long as the test, and takes its share of the
// calls: memory, goroutines and descriptors are measured there, because a process that starts anew
// forgets its leaks.
//
// # What must hold
//
//   - Every answer belongs to its caller: the identity, the token's subject and audience, the blobs, the
//     folder of saved copies.
//   - No call fails, except those for which the book of faults has an entry: the kind of call, the user, the
//     status and the time must fit. Faults that a retry overcomes have no entry; those that last must
//     fail at least one call. Deploys have none: a replica says by /ready that it ends, two seconds before
//     it does. A call whose token has lost its key to a rotation is made again with a new token.
//   - A session may be lost (404) only with its replica.
//   - The live heap of C, after a collection, has a median in the last third of the time of no more than
//     1.05 times that in the middle third. Its goroutines and descriptors return to what they were.
//
// Times are printed, and none is asserted.
//
// # That it notices
//
// With SOAK_FLAW the replicas have a flaw on purpose, and the test must fail: goroutines (one in
// fifty calls leaves a goroutine behind), heap (each call leaves a kilobyte behind), identity
// (one in a thousand calls acts as the caller before it). Only calls that act for their caller count.
package soak
