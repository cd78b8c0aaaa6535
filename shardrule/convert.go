package shardrule

import (
	"errors"

	"github.com/servaldb/serval/internal/sqlval"
)

// KeyToCompare converts v as MySQL does to evaluate "column = v". It never
// guesses: what is not certain is MatchUnknown. The error is *WeightNeeded or
// nil.
func (c Column) KeyToCompare(v sqlval.Value, w Weigher) (Key, Match, error) {
	return Key{}, MatchUnknown, nil
}

// KeyToStore converts v as MySQL does to store it into the column (strict
// mode). A value that does not fit is an *sqlerr.Error with MySQL's own code;
// *WeightNeeded as for KeyToCompare.
func (c Column) KeyToStore(v sqlval.Value, w Weigher) (Key, error) {
	return Key{}, errors.New("not built")
}
