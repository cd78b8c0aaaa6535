// Package archtest holds the rules of the house as tests: which package may
// import which, how long things may grow, what must be documented. The table
// of packages is also in docs/architecture.md; the test compares the two.
package archtest
