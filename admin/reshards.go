package admin

import "time"

func (o *OwnTables) reshards() (rows [][]any) {
	if o.Reshards == nil {
		return nil
	}
	jobs := o.Reshards()
	for i := range jobs {
		j := &jobs[i]
		idle := any(nil)
		if j.Idle >= 0 {
			idle = j.Idle.Seconds()
		}
		rows = append(rows, []any{j.ID, string(j.Stage), clip(j.Tables), j.Rows, j.Total, j.Behind.Seconds(), j.Dirty, j.Worker, idle, clip(j.Detail), clip(j.Trouble), clip(j.Verified),
			j.Created[:min(len(j.Created), len(time.DateTime))]})
	}
	return rows
}

// clip is what of a text the table shows.
func clip(text string) string {
	if r := []rune(text); len(r) > shownText {
		return string(r[:shownText])
	}
	return text
}
