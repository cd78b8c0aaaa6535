package txn

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestVictims(t *testing.T) {
	began := time.Unix(1000, 0)
	holder := func(session uint32) Holder {
		return Holder{Session: session, Began: began.Add(time.Duration(session) * time.Second)}
	}
	holders := []Holder{holder(1), holder(2), holder(3), holder(4)}
	for name, c := range map[string]struct {
		edges map[uint32][]uint32
		want  []uint32
	}{
		"nobody waits":                          {nil, nil},
		"a queue is no circle":                  {map[uint32][]uint32{1: {2}, 2: {3}, 3: {4}}, nil},
		"of two the one that began last goes":   {map[uint32][]uint32{1: {2}, 2: {1}}, []uint32{2}},
		"of three likewise, whoever waits last": {map[uint32][]uint32{1: {3}, 3: {2}, 2: {1}}, []uint32{3}},
		"who waits for a circle is not in it":   {map[uint32][]uint32{1: {2}, 2: {1}, 4: {1}}, []uint32{2}},
		"one victim may break two circles":      {map[uint32][]uint32{1: {4}, 4: {1, 2}, 2: {4}}, []uint32{4}},
		"two circles need two":                  {map[uint32][]uint32{1: {2}, 2: {1}, 3: {4}, 4: {3}}, []uint32{4, 2}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, victims(holders, c.edges)) })
	}
}
