package plan

// Loadable is CREATE FUNCTION … SONAME, which every cluster's primary must run,
// or DROP FUNCTION of such a function. Only the root of a plan.
type Loadable struct {
	// Name is the function's, in lower case.
	Name string
	Drop bool
	// Run is the client's statement on every cluster, the home's last.
	Run *Route
	// Home is the cluster whose answer the client gets.
	Home string
}

func (*Loadable) isNode() {}

// Children of a Loadable: its statement.
func (n *Loadable) Children() []Node { return []Node{n.Run} }

func (n *Loadable) line() string {
	if n.Drop {
		return "Loadable drop " + n.Name + " where it is loaded, else the stored function on " + n.Home
	}
	return "Loadable create " + n.Name + ", taken back where one cluster refuses it"
}
