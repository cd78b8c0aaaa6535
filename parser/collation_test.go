package parser

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCollationsOfBothServersAreKnown: TiDB's parser rejects names it does not know.
func TestCollationsOfBothServersAreKnown(t *testing.T) {
	for _, name := range []string{
		"utf8mb4_0900_ai_ci", "utf8mb4_unicode_520_nopad_ci", "utf8mb4_nopad_bin", "utf8mb3_polish_ci", "uca1400_ai_ci", "utf8mb4_uca1400_german2_nopad_as_cs",
		"latin1_swedish_nopad_ci", "utf8mb4_nb_0900_as_cs", "utf8mb4_general_nopad_ci",
	} {
		for _, sql := range []string{
			"CREATE TABLE t (a VARCHAR(9) COLLATE " + name + ")", "SELECT a COLLATE " + name + " FROM t", "ALTER TABLE t DEFAULT COLLATE " + name,
		} {
			st := Parse([]byte(sql), Options{})
			require.NotNil(t, st.Node, "%s: %v", sql, st.Why)
		}
	}
	require.Nil(t, Parse([]byte("SELECT a COLLATE utf8mb4_klingon_ci FROM t"), Options{}).Node)
}
