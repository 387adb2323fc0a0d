package entratest

import (
	"net"
	"net/http"
)

// localOnly refuses requests whose Host is not this machine's. Over TLS the certificate does that:
// without it, a page of any site could reach the tenant by a name that resolves to loopback (DNS
// rebinding).
func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host // without a port
		}
		if !isLoopback(host) {
			http.Error(w, notice+". It is reached as localhost only.", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
