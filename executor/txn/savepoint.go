package txn

import (
	"context"
	"slices"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
)

// maxSavepoints bounds the savepoints of one transaction, which are replayed
// on every cluster that joins.
const maxSavepoints = 1000

// Savepoint sets a savepoint on every participant; clusters that join later
// get it then. name is as written, quoted where it needs it. Outside a
// transaction it does nothing, as on MySQL.
func (t *Tx[C]) Savepoint(ctx context.Context, name string) error {
	if t.state != Open {
		return nil
	}
	if len(t.points) >= maxSavepoints {
		return sqlerr.Refuse("another savepoint", "this transaction has 1000 of them", "release some with RELEASE SAVEPOINT")
	}
	if err := t.everywhere(ctx, "SAVEPOINT "+name); err != nil {
		return err
	}
	// A savepoint of the same name is replaced and becomes the latest.
	if i := t.find(name); i >= 0 {
		t.points = slices.Delete(t.points, i, i+1)
	}
	t.points = append(t.points, name)
	return nil
}

// RollbackTo undoes everything after the savepoint, which stays.
func (t *Tx[C]) RollbackTo(ctx context.Context, name string) error {
	i := t.find(name)
	if i < 0 {
		return noSavepoint(name)
	}
	if err := t.everywhere(ctx, "ROLLBACK TO SAVEPOINT "+name); err != nil {
		return err
	}
	t.points = t.points[:i+1]
	return nil
}

// ReleaseSavepoint forgets the savepoint and those after it, undoing nothing.
func (t *Tx[C]) ReleaseSavepoint(ctx context.Context, name string) error {
	i := t.find(name)
	if i < 0 {
		return noSavepoint(name)
	}
	if err := t.everywhere(ctx, "RELEASE SAVEPOINT "+name); err != nil {
		return err
	}
	t.points = t.points[:i]
	return nil
}

// guardPoint is the savepoint before a statement of several tasks. No client
// can mean it: the colon would have to be quoted on purpose.
const guardPoint = "`serval:statement`"

// Guard makes a statement that has several tasks all or nothing, as it is on
// one server: it sets a savepoint everywhere, and on clusters that join for
// the statement. Unguard or Undo follows.
func (t *Tx[C]) Guard(ctx context.Context) error {
	if t.state != Open {
		return nil
	}
	if err := t.everywhere(ctx, "SAVEPOINT "+guardPoint); err != nil {
		return err
	}
	t.points = append(t.points, guardPoint)
	return nil
}

// Guarded reports that a statement is between Guard and its end.
func (t *Tx[C]) Guarded() bool { return len(t.points) > 0 && t.points[len(t.points)-1] == guardPoint }

// Unguard: the statement went well. The savepoint stays on the servers, where
// the next one replaces it.
func (t *Tx[C]) Unguard() {
	if i := t.find(guardPoint); i >= 0 {
		t.points = slices.Delete(t.points, i, i+1)
	}
}

// Undo takes back what some tasks of a failed statement have done. Where that
// fails the transaction is damaged and the next Settle ends it.
func (t *Tx[C]) Undo(ctx context.Context) {
	if t.find(guardPoint) < 0 {
		return
	}
	t.Unguard()
	if t.anyBroken() {
		return
	}
	if err := t.everywhere(ctx, "ROLLBACK TO SAVEPOINT "+guardPoint); err != nil {
		// One of them has kept the statement's half, or has no transaction
		// any more: only ROLLBACK is certain.
		for i := range t.parts {
			t.parts[i].broken = true
		}
	}
}

// find looks the name up; savepoint names do not tell cases apart.
func (t *Tx[C]) find(name string) int {
	bare := bareName(name)
	return slices.IndexFunc(t.points, func(p string) bool { return strings.EqualFold(bareName(p), bare) })
}

func bareName(name string) string {
	if len(name) >= 2 && name[0] == '`' && name[len(name)-1] == '`' {
		return strings.ReplaceAll(name[1:len(name)-1], "``", "`")
	}
	return name
}

func noSavepoint(name string) error {
	e := sqlerr.New(errNoSavepoint, "SAVEPOINT %s does not exist", bareName(name))
	e.State = "42000"
	return e
}
