// Package deploy checks the files of deploy/ with the types of what reads them, and runs the image.
package deploy_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
)

// manifests are the objects of the recipe for AKS.
type manifests struct {
	namespace  *corev1.Namespace
	account    *corev1.ServiceAccount
	config     *corev1.ConfigMap
	deployment *appsv1.Deployment
	service    *corev1.Service
	budget     *policyv1.PodDisruptionBudget
	network    *networkingv1.NetworkPolicy
}

// readManifests decodes a file of deploy/aks strictly: unknown and repeated fields fail.
func readManifests(t *testing.T, name string) (m manifests) {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, appsv1.AddToScheme, policyv1.AddToScheme, networkingv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	data, err := os.ReadFile("../../deploy/aks/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data))); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		object, kind, err := decoder.Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		switch o := object.(type) {
		case *corev1.Namespace:
			m.namespace = o
		case *corev1.ServiceAccount:
			m.account = o
		case *corev1.ConfigMap:
			m.config = o
		case *appsv1.Deployment:
			m.deployment = o
		case *corev1.Service:
			m.service = o
		case *policyv1.PodDisruptionBudget:
			m.budget = o
		case *networkingv1.NetworkPolicy:
			m.network = o
		default:
			t.Errorf("%s is not expected", kind)
		}
		meta, ok := object.(metav1.Object)
		if !ok || (meta.GetNamespace() != "mcp" && kind.Kind != "Namespace") {
			t.Errorf("%s is not in the namespace mcp", kind)
		}
	}
	return m
}

// server returns the objects of the server, which are all there.
func server(t *testing.T) manifests {
	t.Helper()
	m := readManifests(t, "mcp-server.yaml")
	if m.namespace == nil || m.account == nil || m.config == nil || m.deployment == nil || m.service == nil || m.budget == nil || m.network == nil {
		t.Fatalf("an object is missing: %+v", m)
	}
	return m
}

// TestManifests: the objects find each other, which strict decoding does not see.
func TestManifests(t *testing.T) {
	t.Parallel()
	m := server(t)
	pod := m.deployment.Spec.Template
	podLabels := labels.Set(pod.Labels)
	for name, selector := range map[string]*metav1.LabelSelector{
		"deployment": m.deployment.Spec.Selector, "disruption budget": m.budget.Spec.Selector, "network policy": &m.network.Spec.PodSelector,
		"service": {MatchLabels: m.service.Spec.Selector}, "topology": pod.Spec.TopologySpreadConstraints[0].LabelSelector,
	} {
		s, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil || s.Empty() || !s.Matches(podLabels) {
			t.Errorf("the selector of the %s is %v (%v); want one that selects the pod's labels %v, and not all", name, s, err, podLabels)
		}
	}
	if pod.Spec.ServiceAccountName != m.account.Name || m.namespace.Name != m.account.Namespace {
		t.Errorf("the pod's account is %s, the account's name %s in %s", pod.Spec.ServiceAccountName, m.account.Name, m.account.Namespace)
	}
	c := pod.Spec.Containers[0]
	if c.EnvFrom[0].ConfigMapRef.Name != m.config.Name {
		t.Errorf("the container's configuration is %s, want %s", c.EnvFrom[0].ConfigMapRef.Name, m.config.Name)
	}
	port := m.service.Spec.Ports[0].TargetPort
	for name, got := range map[string]intstr.IntOrString{
		"service": port, "startup": c.StartupProbe.TCPSocket.Port, "readiness": c.ReadinessProbe.HTTPGet.Port,
		"liveness": c.LivenessProbe.TCPSocket.Port, "network policy": *m.network.Spec.Ingress[0].Ports[0].Port,
	} {
		if got.StrVal != c.Ports[0].Name || got.StrVal == "" {
			t.Errorf("the port of the %s is %v, want the container's, %q", name, got, c.Ports[0].Name)
		}
	}
	if c.Ports[0].ContainerPort != 8000 || c.ReadinessProbe.HTTPGet.Path != "/ready" {
		t.Errorf("port %d, readiness asks %s; want 8000 and /ready", c.Ports[0].ContainerPort, c.ReadinessProbe.HTTPGet.Path)
	}
}

// TestWorkloadIdentity: the webhook sees the pod, and the app trusts the account itself.
func TestWorkloadIdentity(t *testing.T) {
	t.Parallel()
	m := server(t)
	if got := m.deployment.Spec.Template.Labels["azure.workload.identity/use"]; got != "true" {
		t.Errorf("the pod's label azure.workload.identity/use is %q, want true", got)
	}
	if got := m.account.Annotations["azure.workload.identity/client-id"]; got != "API_APP_ID" {
		t.Errorf("the account's client ID is %q, want that of the app registration", got)
	}
	if _, ok := m.config.Data["UMI_CLIENT_ID"]; ok {
		t.Error("UMI_CLIENT_ID is set: Entra is reported to refuse a managed identity that a pod's token proves (AADSTS700231)")
	}
}

// TestPodIsConfined: what a hole in the server could reach.
func TestPodIsConfined(t *testing.T) {
	t.Parallel()
	m := server(t)
	pod := m.deployment.Spec.Template.Spec
	c := pod.Containers[0]
	s := c.SecurityContext
	if !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) ||
		!*pod.SecurityContext.RunAsNonRoot || *pod.SecurityContext.RunAsUser != 65532 || *pod.SecurityContext.FSGroup != 65532 ||
		pod.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault || *pod.AutomountServiceAccountToken {
		t.Errorf("the pod may do more than it needs: %+v, %+v", s, pod.SecurityContext)
	}
	if m.namespace.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
		t.Errorf("the namespace enforces %v, want restricted", m.namespace.Labels)
	}
	limits := make(map[string]int64)
	for _, v := range pod.Volumes {
		if v.EmptyDir == nil || v.EmptyDir.SizeLimit.IsZero() {
			t.Errorf("the volume %s has no limit", v.Name)
			continue
		}
		limits[v.Name] = v.EmptyDir.SizeLimit.Value()
	}
	for _, mount := range c.VolumeMounts {
		if want := "/" + mount.Name; mount.MountPath != want || limits[mount.Name] == 0 {
			t.Errorf("%s is mounted at %s, want a volume at %s", mount.Name, mount.MountPath, want)
		}
	}
	disk := c.Resources.Limits.StorageEphemeral().Value()
	if copies := limits["downloads"]; copies+limits["tmp"] > disk || m.config.Data["DOWNLOAD_MAX_BYTES"] != "805306368" || copies < 805306368*5/4 {
		t.Errorf("saved copies up to %s bytes in a volume of %d, disk %d; want room to spare in each", m.config.Data["DOWNLOAD_MAX_BYTES"], copies, disk)
	}
}

// TestNetworkPolicy: nothing but the gateway in, no way out to the metadata address.
func TestNetworkPolicy(t *testing.T) {
	t.Parallel()
	checkNetwork(t, server(t).network.Spec)
}

// TestProductionPart: what examples/production has besides fits the server's objects.
func TestProductionPart(t *testing.T) {
	t.Parallel()
	m, part := server(t), readManifests(t, "production.yaml")
	if part.config == nil || part.network == nil {
		t.Fatalf("an object is missing: %+v", part)
	}
	checkNetwork(t, part.network.Spec)
	if !maps.Equal(part.network.Spec.PodSelector.MatchLabels, m.network.Spec.PodSelector.MatchLabels) {
		t.Errorf("the policy is for %v, want the server's pods", part.network.Spec.PodSelector)
	}
	from := m.deployment.Spec.Template.Spec.Containers[0].EnvFrom
	if len(from) != 3 || from[1].ConfigMapRef.Name != part.config.Name || !*from[1].ConfigMapRef.Optional || from[2].SecretRef.Name != part.config.Name || !*from[2].SecretRef.Optional {
		t.Errorf("the pod's variables are from %+v; want, third, those of %s, which may be missing", from, part.config.Name)
	}
	set := maps.Clone(part.config.Data)
	maps.Copy(set, map[string]string{"TENANT_ID": someID, "API_APP_ID": someOtherID, "REDIS_URL": "rediss://:a-password@redis.example.com:10000", "STORE_KEYS": someKey})
	c, faults := serverconfig.ReadProduction(func(name string) (string, bool) { v, ok := set[name]; return v, ok }, nil)
	for _, f := range faults {
		t.Errorf("%s: %s. %s", f.Where, f.Problem, f.Remedy)
	}
	scraped, sent := part.network.Spec.Ingress[0].Ports[0].Port.String(), part.network.Spec.Egress[0].Ports[0].Port.String()
	if !strings.HasSuffix(c.MetricsAddr, ":"+scraped) || !strings.HasSuffix(set["OTEL_EXPORTER_OTLP_ENDPOINT"], ":"+sent) {
		t.Errorf("metrics are at %s, the collector at %s; want the policy's ports %s and %s", c.MetricsAddr, set["OTEL_EXPORTER_OTLP_ENDPOINT"], scraped, sent)
	}
}

const (
	someID      = "11111111-1111-1111-1111-111111111111"
	someOtherID = "22222222-2222-2222-2222-222222222222"
	someKey     = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
)

// checkNetwork fails the test if a policy lets in or out anybody, or out to an address of the platform.
func checkNetwork(t *testing.T, spec networkingv1.NetworkPolicySpec) {
	t.Helper()
	if !slices.Equal(spec.PolicyTypes, []networkingv1.PolicyType{"Ingress", "Egress"}) {
		t.Errorf("the policy is for %v, want both ways", spec.PolicyTypes)
	}
	for _, rule := range spec.Ingress {
		for _, from := range rule.From {
			if from.NamespaceSelector == nil || len(from.NamespaceSelector.MatchLabels) == 0 {
				t.Errorf("lets in %+v, want one namespace", from)
			}
		}
		if len(rule.From) == 0 || len(rule.Ports) == 0 {
			t.Errorf("lets in %+v, want a namespace and a port", rule)
		}
	}
	for _, address := range []string{"169.254.169.254", "168.63.129.16"} {
		for _, rule := range spec.Egress {
			if len(rule.To) == 0 || len(rule.Ports) == 0 {
				t.Errorf("lets out %+v, want an address and a port", rule)
			}
			for _, to := range rule.To {
				if to.IPBlock == nil {
					continue
				}
				in := func(network string) bool {
					return netip.MustParsePrefix(network).Contains(netip.MustParseAddr(address))
				}
				if in(to.IPBlock.CIDR) && !slices.ContainsFunc(to.IPBlock.Except, in) {
					t.Errorf("lets out to %s", address)
				}
			}
		}
	}
}

// TestStopping: while the pod sleeps before its stop, it is still served; then it may drain.
func TestStopping(t *testing.T) {
	t.Parallel()
	m := server(t)
	pod := m.deployment.Spec.Template.Spec
	c := pod.Containers[0]
	sleep := c.Lifecycle.PreStop.Sleep.Seconds
	if got, want := *pod.TerminationGracePeriodSeconds, sleep+25+10; got != want {
		t.Errorf("grace is %d s, want %d + 25 + 10 = %d", got, sleep, want)
	}
	if m.deployment.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue() != 0 || *m.deployment.Spec.Replicas < 2 || m.budget.Spec.MaxUnavailable.IntValue() != 1 {
		t.Error("a deployment or a drained node takes the last pod that serves")
	}
	if c.LivenessProbe.HTTPGet != nil {
		t.Error("liveness asks over HTTP; a restart does not bring Entra back")
	}
}
