package rulestore

import "time"

// How Servals change over. A change is proposed; every Serval says whether it
// could serve it; then it is put in effect, in one step, or withdrawn. A Serval
// that said yes and then loses the store cannot know which: after Promise it
// holds its statements until it does. One that had not been asked goes on with
// the rules it has: nothing is put in effect without its answer. So two versions
// are served at once for at most Promise, and a store that is down stops nobody.

const (
	// Promise is how long a Serval that agreed to a change may go on serving
	// the old rules without hearing from the store.
	Promise = 2 * time.Second
	// pollIdle and pollOpen are the times between two looks at the store,
	// without and with a proposal open.
	pollIdle = time.Second
	pollOpen = 200 * time.Millisecond
	// answerTakes is what is left of a round for an answer to be written and read.
	answerTakes = 100 * time.Millisecond
)

// proposal is a change that is asked about.
type proposal struct {
	ID     string `json:"id"`
	Number int64  `json:"version"`
	By     string `json:"by"`
	Note   string `json:"note,omitempty"`
	Text   string `json:"text"`
	// Of a cut over: how far it has come, see cutover.go.
	Round  Round         `json:"round,omitempty"`
	Tables []string      `json:"tables,omitempty"`
	Within time.Duration `json:"within,omitempty"`
	Finish []byte        `json:"finish,omitempty"`
	// Look: it is no change, see LookAgain.
	Look bool `json:"look,omitempty"`
	// Floors are Version.Floors, once they are known.
	Floors map[string]string `json:"-"`
}

// look is one look at the store. Asked is when it began, which is the time it
// proves anything about.
type look struct {
	asked    time.Time
	answered bool
	head     int64
	open     *proposal
	// orphan: the tables of open are being renamed, and nobody is at it.
	orphan bool
}

// action is what a member does after a look, in this order.
type action struct {
	// hold: keep new statements waiting.
	hold bool
	// take: serve the version in effect; then let statements go on.
	take bool
	// release: let waiting statements go on with the rules as they are.
	release bool
	// answer: say whether the proposal could be served.
	answer *proposal
	// pause: hold what the proposal's round says, and say when that is so.
	pause *proposal
	// finish: end the renames in place of who began them.
	finish *proposal
}

// member is what a Serval knows of the hand-over. It is changed by step and
// by what became of step's actions: took and answered.
type member struct {
	// serves is the version that is served.
	serves int64
	// agreed is the proposal that may be put in effect any time, replied the
	// last one that was answered.
	agreed, replied string
	// byRounds: agreed is a cut over, which is not put in effect before this Serval
	// has said that it holds everything.
	byRounds bool
	// heard is when the last look that the store answered began.
	heard time.Time
	// held: new statements wait.
	held bool
	// round is the last one of agreed's that was paused for.
	round Round
}

// step decides; it is pure but for m.
func (m *member) step(l look) action {
	if !l.answered {
		if m.agreed != "" && !m.held && l.asked.Sub(m.heard) >= Promise {
			m.held = true
			return action{hold: true}
		}
		return action{}
	}
	m.heard = l.asked
	if l.head != m.serves {
		// Taking asks servers, which takes its time: nobody is to be served
		// the old rules meanwhile.
		a := action{hold: !m.held, take: true}
		m.held = true
		return a
	}
	var a action
	if m.agreed != "" && (l.open == nil || l.open.ID != m.agreed) {
		a.release = m.held || m.round > Asked
		m.agreed, m.held, m.round = "", false, Asked
	}
	switch p := l.open; {
	case p == nil:
	case l.orphan:
		a.finish = p
	case p.ID != m.replied:
		a.answer = p
	case p.ID == m.agreed && p.Round > m.round && p.Round < Renaming:
		a.pause = p
	}
	return a
}

// pausing notes the round before anybody is told: from its answer on the cut
// over may go on.
func (m *member) pausing(p *proposal) { m.round = p.Round }

// took: the version is served now, and statements go on. Where it could not be
// taken they wait until it can: the others serve it.
func (m *member) took(number int64) {
	m.serves, m.agreed, m.held, m.round = number, "", false, Asked
}

// answering notes the answer before it is written: from then on the change may
// be put in effect.
func (m *member) answering(p *proposal, yes bool) {
	m.replied = p.ID
	if yes {
		m.agreed, m.byRounds = p.ID, len(p.Tables) > 0
	}
}

// pause is the time until the next look.
func (m *member) pause() time.Duration {
	if m.agreed != "" || m.held {
		return pollOpen
	}
	return pollIdle
}
