package shardrule

import "strings"

// foreignFunctions are those of other proxies, see docs/mycat.md.
func foreignFunctions() []Function {
	return []Function{
		mycatModFunction(),
		mycatLongFunction(),
		mycatStringFunction(),
		mycatRangeFunction(),
		mycatEnumFunction(),
		mycatMurmurFunction(),
		mycatCRC32SlotFunction(),
		mycatJumpFunction(),
		mycatHashModFunction(),
		mycatPatternFunction(),
		mycatPrefixPatternFunction(),
		mycatSubstringFunction(),
		mycatRangeModFunction(),
		mycatDateFunction(),
		mycatDayFunction(),
		mycatMonthFunction(),
		mycatYearFunction(),
		mycatRangeDateHashFunction(),
		mycatLatestMonthFunction(),
		mycatPostfixFunction(),
		mycat2Function(),
		dbleHashFunction(),
		dbleStringHashFunction(),
		dbleEnumFunction(),
		dbleRangeFunction(),
		dblePatternFunction(),
		dbleDateFunction(),
		dbleJumpFunction(),
		kingshardHashFunction(),
		kingshardRangeFunction(),
		kingshardYearFunction(),
		kingshardMonthFunction(),
		kingshardDayFunction(),
		gaeaModFunction(),
		gaeaStringFunction(),
		gaeaPaddingModFunction(),
	}
}

// namesLike are the names a name may be meant for: those of the proxy that its
// first part names, or our own.
func namesLike(name string) []string {
	proxy, _, _ := strings.Cut(name, "_")
	var names []string
	for _, f := range foreignFunctions() {
		if strings.HasPrefix(f.Name, proxy+"_") {
			names = append(names, f.Name)
		}
	}
	if names == nil {
		return FunctionNames()
	}
	return names
}
