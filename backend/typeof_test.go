package backend

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUserVariablesOfDifferentTypesAreToldApart(t *testing.T) {
	same := [][2]string{{"1", "-22"}, {"1.5", "-0.25"}, {"x'00'", "x'0102'"},
		{"CONVERT(_utf8mb4 x'61' USING latin1) COLLATE latin1_bin", "CONVERT('' USING latin1) COLLATE latin1_bin"}}
	for _, s := range same {
		require.Equal(t, typeOf(s[0]), typeOf(s[1]), s)
	}
	all := []string{"1", "1.5", "1.5e0", "NULL", "x'00'", "18446744073709551615", "CONVERT('' USING latin1) COLLATE latin1_bin",
		"CONVERT('' USING utf8mb4) COLLATE utf8mb4_bin"}
	seen := map[string]bool{}
	for _, sql := range all {
		require.False(t, seen[typeOf(sql)], sql)
		seen[typeOf(sql)] = true
	}
}
