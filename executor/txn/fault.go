//go:build !fault

package txn

// fault marks a moment of the commit protocol at which a test may end the
// process; see fault_on.go.
func fault(string) {}
