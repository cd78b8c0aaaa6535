package reshard

import "fmt"

// Stage is how far a job is; the journal has it.
type Stage string

// The stages. What a worker does who finds a job there is Work's.
const (
	// Planned: written down, nothing done.
	Planned Stage = "planned"
	// Creating: the new tables are being made.
	Creating Stage = "creating"
	// Copying: rows are copied, changes followed.
	Copying Stage = "copying"
	// Following: all rows are copied, changes are followed.
	Following Stage = "following"
	// Cutting: writes are held, tables renamed, rules published.
	Cutting Stage = "cutting"
	// Reversing: the new rules are in effect, changes are followed the other way.
	Reversing Stage = "reversing"
	// Returning: as Cutting, the other way.
	Returning Stage = "returning"
	// Finishing: the old tables are being dropped.
	Finishing Stage = "finishing"
	// Finished: the end.
	Finished Stage = "finished"
	// Cancelling: the new tables are being dropped.
	Cancelling Stage = "cancelling"
	// Cancelled: the other end.
	Cancelled Stage = "cancelled"
)

// Event is what changes a job's stage.
type Event string

// The events.
const (
	// Begin: the work begins.
	Begin Event = "begin"
	// Created: all new tables are there.
	Created Event = "created"
	// Copied: all rows are.
	Copied Event = "copied"
	// Cut: a cut over begins. CutOver: the new rules are in effect. BackedOut: the
	// old ones stay.
	Cut       Event = "cut"
	CutOver   Event = "cut over"
	BackedOut Event = "backed out"
	// Return: the way back begins; CutOver and BackedOut end it.
	Return Event = "return"
	// Finish: nobody wants to go back.
	Finish Event = "finish"
	// Cancel: nobody wants to go on.
	Cancel Event = "cancel"
	// Dropped: the tables that Finish and Cancel drop are gone.
	Dropped Event = "dropped"
)

// next are the stages that follow; what is not in it does not happen.
var next = map[Stage]map[Event]Stage{
	Planned:    {Begin: Creating, Cancel: Cancelling},
	Creating:   {Created: Copying, Cancel: Cancelling},
	Copying:    {Copied: Following, Cancel: Cancelling},
	Following:  {Cut: Cutting, Cancel: Cancelling},
	Cutting:    {CutOver: Reversing, BackedOut: Following},
	Reversing:  {Return: Returning, Finish: Finishing},
	Returning:  {CutOver: Following, BackedOut: Reversing},
	Finishing:  {Dropped: Finished},
	Cancelling: {Dropped: Cancelled},
}

// After is the stage after an event; the error says what may be done instead.
func (s Stage) After(e Event) (Stage, error) {
	if to, ok := next[s][e]; ok {
		return to, nil
	}
	return s, &MisplacedError{Stage: s, Event: e}
}

// MisplacedError: a stage does not take an event. Nothing was done, and nothing
// is wrong with the job.
type MisplacedError struct {
	Stage Stage
	Event Event
}

func (e *MisplacedError) Error() string {
	return fmt.Sprintf("the job is %s, and cannot %s; %s", e.Stage, e.Event, e.Stage.May())
}

// May is what commands a stage takes.
func (s Stage) May() string {
	switch s {
	case Planned, Creating, Copying:
		return "serval reshard start goes on with it, cancel ends it"
	case Following:
		return "serval reshard start follows, verify, cutover and cancel may come"
	case Cutting, Returning:
		return "its hand-over is under way; serval reshard status tells its end"
	case Reversing:
		return "serval reshard reverse goes back, finish ends it"
	case Finishing:
		return "serval reshard finish goes on with it"
	case Cancelling:
		return "serval reshard cancel goes on with it"
	case Finished, Cancelled:
	}
	return "serval reshard start begins another one"
}

// Ended: nothing is left to do.
func (s Stage) Ended() bool { return s == Finished || s == Cancelled }

// Work is what is to be done in a stage, by whoever has the job's lock; each may be
// done again after a crash.
func (s Stage) Work() string {
	switch s {
	case Planned:
		return "nothing yet"
	case Creating:
		return "make the new tables that are not there"
	case Copying:
		return "copy behind the last keys written down, follow from the positions written down"
	case Following:
		return "follow from the positions written down"
	case Cutting, Returning:
		return "look which tables are renamed and which rules are in effect, and go on or back out"
	case Reversing:
		return "follow the other way from the positions written down"
	case Finishing:
		return "drop the old tables that are left"
	case Cancelling:
		return "drop the new tables that are left"
	case Finished, Cancelled:
	}
	return "nothing"
}
