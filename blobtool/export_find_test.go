package blobtool

// What the fuzz targets of listings and searches look into.

// NamePattern is the pattern of search_blobs for names.
type NamePattern struct{ *namePattern }

// ParseNamePattern compiles one.
func ParseNamePattern(pattern string, ignoreCase bool) (NamePattern, error) {
	p, err := parseNamePattern(pattern, ignoreCase)
	return NamePattern{p}, err
}

// Match reports whether the pattern matches all of a name.
func (p NamePattern) Match(name string) bool { return p.match(name) }

// Prefix begins all names that match.
func (p NamePattern) Prefix() string { return p.prefix }

// TagCondition is a condition of search_blobs.
type TagCondition = tagCondition

// WhereTags writes conditions as a query.
func WhereTags(c []TagCondition) (string, error) { return whereTags(c) }
