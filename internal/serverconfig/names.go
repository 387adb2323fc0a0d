package serverconfig

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// knownVariables are all variables that the server reads, and platform variables that have no
// effect in the .env file.
var knownVariables = slices.Concat([]string{
	"TENANT_ID", "API_APP_ID", "AZURE_AUTHORITY_HOST", "AZURE_STORAGE_ACCOUNT_URL", "AZURE_STORAGE_CONTAINER",
	"USE_OBO_FLOW", "AZURE_TENANT_ID", "ENTRA_APP_CLIENT_ID", "AZURE_CLIENT_CERTIFICATE_PASSWORD",
	"TARGET_AUDIENCES", "CONSENT_REDIRECT_URL", "STATE_KEYS", "HOST", "PORT", "PUBLIC_URL", "DOWNLOAD_DIR", "DOWNLOAD_MAX_BYTES", "LOG_LEVEL", "LOG_FORMAT",
	"APP_ID_URIS", "ALLOWED_HOSTS", "ALLOWED_ORIGINS", "TRUSTED_PROXIES", "SESSIONS", "TOOL_POLICIES", "PEOPLE_ONLY", "AGENT_USERS", "AGENT_ID",
	"AUTH_PROXY", "AUTH_PROXY_KEYS", "AUTH_PROXY_CLIENT_ID", "AUTH_PROXY_PRIVATE_SCHEMES", "AUTH_PROXY_DOWNSTREAM", "AUTH_PROXY_COMBINED_CONSENT",
}, proofs, []string{"AUTH_PROXY_CLIENT_SECRET"}, processVariables)

// processVariables are read by Go and the Azure SDK, which see only the environment.
var processVariables = []string{"SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "NO_PROXY", "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "GOGC", "GOMEMLIMIT"}

// A vocabulary is the variables that a program knows.
type vocabulary []string

// misspelled reports variables of the .env file whose names are close to known ones, with their
// lines. Any others may belong to other programs.
func (known vocabulary) misspelled(file map[string]dotenvValue) []string {
	names := slices.SortedFunc(maps.Keys(file), func(a, b string) int { return cmp.Compare(file[a].line, file[b].line) })
	var found []string
	for _, name := range names {
		if meant := known.meantBy(name); meant != "" {
			found = append(found, fmt.Sprintf("%s:%d: %s has no effect; did you mean %s?", DotenvFile, file[name].line, Shorten(name), meant))
		}
	}
	return found
}

// meantBy returns the known name that is probably meant, or up to three candidates. A single typing
// mistake decides; then it compares words, and then letters.
func (known vocabulary) meantBy(name string) string {
	if slices.Contains(known, name) || slices.Contains(productionVariables, name) || name == "AZURE_CLIENT_ID" || len(name) > 64 { // AZURE_CLIENT_ID is the Azure SDK's own
		return ""
	}
	name = strings.ToUpper(name)
	return cmp.Or(known.meantByLetters(name, 1), known.meantByWords(name), known.meantByLetters(name, 2))
}

// commonplace words occur in names of many programs. A name that shares only these with a known
// one, and has another word, is a different name.
var commonplace = []string{"ENTRA", "CLIENT", "ID", "STORAGE"}

// meantByWords returns the known name that shares the most words with name, at least two, if only
// one of them has extra words. Otherwise it returns a name that differs in one word.
func (known vocabulary) meantByWords(name string) string {
	var within, replaced []string
	most := 2
	given := words(name)
	for _, candidate := range known {
		wanted := words(candidate)
		shared := slices.DeleteFunc(slices.Clone(wanted), func(word string) bool { return !slices.Contains(given, word) })
		added := len(slices.DeleteFunc(slices.Clone(given), func(word string) bool { return slices.Contains(wanted, word) }))
		missing := len(wanted) - len(shared)
		switch {
		case added == 0 && missing == 0:
			return candidate
		case len(shared) < 2 || added > 1:
		case added == 0 || missing == 0:
			if len(shared) > most {
				within, most = nil, len(shared)
			}
			if len(shared) == most {
				within = append(within, candidate)
			}
		case missing == 1 && slices.ContainsFunc(shared, func(word string) bool { return !slices.Contains(commonplace, word) }):
			replaced = append(replaced, candidate)
		}
	}
	if len(within) == 0 {
		if near := known.meantByLetters(name, 2); slices.Contains(replaced, near) {
			return near
		}
		within = replaced
	}
	if len(within) > 3 {
		return ""
	}
	return strings.Join(within, " or ")
}

// words splits a name into words, and maps older names of Entra to the new one.
func words(name string) []string {
	split := strings.FieldsFunc(name, func(r rune) bool { return r == '_' })
	for i, word := range split {
		if slices.Contains([]string{"AZURE", "AAD", "AZUREAD", "MICROSOFT"}, word) {
			split[i] = "ENTRA"
		}
	}
	return split
}

// meantByLetters returns the closest known name: one that differs only in underscores or a plural,
// or by so many typing mistakes at most (one for short names).
func (known vocabulary) meantByLetters(name string, most int) string {
	bare := strings.NewReplacer("_", "", "IES", "Y").Replace // POLICY is for POLICIES
	nearest, least := "", most+1
	for _, candidate := range known {
		distance := typingMistakes(name, candidate)
		if bare(name) == bare(candidate) {
			distance = 0
		}
		if distance < least && (distance < 2 || len(candidate) > 5) {
			nearest, least = candidate, distance
		}
	}
	return nearest
}

// typingMistakes counts the letters to add, drop, replace, or swap with their
// neighbor to get from a to b.
func typingMistakes(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		for j := range rows[i] {
			switch {
			case i == 0 || j == 0:
				rows[i][j] = i + j
			case a[i-1] == b[j-1]:
				rows[i][j] = rows[i-1][j-1]
			default:
				rows[i][j] = 1 + min(rows[i-1][j-1], rows[i-1][j], rows[i][j-1])
			}
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
