package blobtest

// spelled returns the name of metadata as the client wrote it.
func (x *exchange) spelled(name string) string { return name }
