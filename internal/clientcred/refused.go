package clientcred

import (
	"strconv"
	"strings"
)

// Blames reports whether the AADSTS code says that Entra rejected the app's credential, so that
// the same one must not be sent again.
func Blames(code int) bool {
	switch code {
	case 50012, 50048, 5002741, 70002, 70025, 700021, 700023, 700024, 700027, 700030, 7000215, 7000222, 700222, 700229, 700236, 700238:
		return true
	}
	// No federated credential matches: 70021 became 700211 to 7002138 within three years.
	return strings.HasPrefix(strconv.Itoa(code), "70021")
}

// Outdated reports whether Entra may accept a new credential of the same kind: this one has
// expired or is not valid yet, or its key has been replaced.
func Outdated(code int) bool { return code == 700024 || code == 700027 }
