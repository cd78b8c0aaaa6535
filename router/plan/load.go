package plan

// Load is LOAD DATA LOCAL INFILE: the session reads the file and inserts its
// lines. Only the root of a plan.
type Load struct{ Table TableName }

func (*Load) isNode() {}

// Children of a Load are none: its INSERTs are planned when they run.
func (*Load) Children() []Node { return nil }
