package rulestore

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
)

// TestHandover replays what a Serval sees and shows what it does.
func TestHandover(t *testing.T) {
	datadriven.RunTest(t, "testdata/handover.txt", func(t *testing.T, d *datadriven.TestData) string {
		m := &member{}
		d.ScanArgs(t, "serves", &m.serves)
		now := time.Unix(0, 0)
		m.heard = now
		var out strings.Builder
		for line := range strings.SplitSeq(d.Input, "\n") {
			word, rest, _ := strings.Cut(line, " ")
			if word == "wait" {
				d, err := time.ParseDuration(rest)
				require.NoError(t, err)
				now = now.Add(d)
				continue
			}
			fmt.Fprintln(&out, line+handoverEvent(t, m, now, word, rest))
		}
		return out.String()
	})
}

// handoverEvent is one line of a case, and what follows from it.
func handoverEvent(t *testing.T, m *member, now time.Time, word, rest string) string {
	switch word {
	case "look", "lost":
		l := look{asked: now, answered: word == "look"}
		for field := range strings.FieldsSeq(rest) {
			key, value, _ := strings.Cut(field, "=")
			var err error
			switch key {
			case "head":
				_, err = fmt.Sscan(value, &l.head)
			case "open":
				id, number, _ := strings.Cut(value, ":")
				number, round, _ := strings.Cut(number, "/")
				l.open = &proposal{ID: id, Round: rounds[round]}
				_, err = fmt.Sscan(number, &l.open.Number)
			case "maker":
				l.orphan = value == "gone"
			default:
				t.Fatalf("unknown field %s", field)
			}
			require.NoError(t, err)
		}
		return ": " + actionText(m.step(l))
	case "took", "failed":
		var number int64
		_, err := fmt.Sscan(rest, &number)
		require.NoError(t, err)
		if word == "failed" {
			return ""
		}
		m.took(number)
		return ""
	case "paused":
		id, round, _ := strings.Cut(rest, "/")
		m.pausing(&proposal{ID: id, Round: rounds[round]})
		return ""
	case "yes", "no":
		m.answering(&proposal{ID: rest}, word == "yes")
		return ""
	}
	t.Fatalf("unknown event %s", word)
	return ""
}

var rounds = map[string]Round{"writes": WritesHeld, "all": AllHeld, "renaming": Renaming}

func roundName(r Round) string {
	for name, round := range rounds {
		if r == round {
			return name
		}
	}
	return "asked"
}

func actionText(a action) string {
	var words []string
	if a.hold {
		words = append(words, "hold")
	}
	if a.take {
		words = append(words, "take")
	}
	if a.release {
		words = append(words, "release")
	}
	if a.answer != nil {
		words = append(words, "answer "+a.answer.ID)
	}
	if a.pause != nil {
		words = append(words, fmt.Sprintf("pause %s/%s", a.pause.ID, roundName(a.pause.Round)))
	}
	if a.finish != nil {
		words = append(words, "finish "+a.finish.ID)
	}
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, ", ")
}
