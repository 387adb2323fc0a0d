//go:build redis && unix

package redisstore_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo"
)

// startCluster runs a Redis Cluster of three masters, and returns its client and theirs.
func startCluster(t *testing.T) (*redis.ClusterClient, []*redis.Client) {
	t.Helper()
	const slots, masters = 16384, 3
	var nodes []*redis.Client
	var addresses []string
	for i := range masters {
		_, node := startRedis(t, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(freeAddress(t).Port))
		nodes, addresses = append(nodes, node), append(addresses, node.Options().Addr)
		if err := node.ClusterAddSlotsRange(t.Context(), i*slots/masters, (i+1)*slots/masters-1).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, node := range nodes[1:] {
		host, port, _ := strings.Cut(node.Options().Addr, ":")
		bus, err := node.ConfigGet(t.Context(), "cluster-port").Result()
		if err != nil {
			t.Fatal(err)
		}
		if err := nodes[0].Do(t.Context(), "CLUSTER", "MEET", host, port, bus["cluster-port"]).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) { //nolint:forbidigo // programs that find each other
		ready := 0
		for _, node := range nodes {
			if strings.Contains(node.ClusterInfo(t.Context()).Val(), "cluster_state:ok") {
				ready++
			}
		}
		if ready == masters {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the cluster is not ready")
		}
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addresses})
	t.Cleanup(func() { _ = client.Close() })
	return client, nodes
}

// TestCluster: all stores work in a Redis Cluster. What is kept of a user is in one hash slot, and
// users are spread over the masters.
func TestCluster(t *testing.T) {
	t.Parallel()
	client, nodes := startCluster(t)
	rates, proxies := newRateStore(t, client), newProxyStore(t, client)
	const users = 60
	for i := range users {
		name := fmt.Sprintf("%064x", i)
		for _, want := range []int{2, 1, 0} {
			if taken, _, err := rates.Take(t.Context(), name, 1, 2, 1.0/3600, 3); taken != want || err != nil {
				t.Fatalf("Take = %d, %v; want %d", taken, err, want)
			}
		}
		old := []byte(nil)
		for _, value := range []string{"a", "b"} {
			if done, err := proxies.Swap(t.Context(), name, old, []byte(value), time.Minute); !done || err != nil {
				t.Fatalf("Swap = %v, %v; want true", done, err)
			}
			old = []byte(value)
		}
		if value, err := proxies.Get(t.Context(), name); !bytes.Equal(value, old) || err != nil {
			t.Fatalf("Get = %q, %v; want %q", value, err, old)
		}
	}
	w := newWorld(t, client)
	alice := w.tenant.AddUser("alice@contoso.com", "Alice")
	a := obo.NewAssertion(w.tenant.Token(alice, w.client, w.api))
	for range 3 {
		w.get(w.replica(), a, alice)
	}
	if n := w.tenant.Count(entratest.EndpointToken); n != 1 {
		t.Errorf("%d exchanges for three replicas, want 1", n)
	}
	sum := 0
	for _, node := range nodes {
		keys, err := node.Keys(t.Context(), "*").Result()
		if err != nil || len(keys) < users/4 {
			t.Errorf("a master has %d keys of %d, %v; want a third", len(keys), 2*users+1, err)
		}
		sum += len(keys)
	}
	if sum != 2*users+1 {
		t.Errorf("%d keys, want one of each store for each name, and one token", sum)
	}
}
