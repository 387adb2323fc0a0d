package blobtest

// ParseWhere parses the expression of Find Blobs by Tags and returns its
// conditions, one after the other.
func ParseWhere(text string) (conditions []string, err error) {
	w, err := parseWhere(text)
	for _, c := range w {
		conditions = append(conditions, c.key, c.operator, c.value)
	}
	return conditions, err
}
