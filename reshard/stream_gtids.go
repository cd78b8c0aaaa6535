package reshard

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
	"github.com/google/uuid"

	"github.com/servaldb/serval/topology"
)

// gtidSet is the transactions that a stream has read: of MySQL a set, of MariaDB
// the last one of each domain, whichever server wrote it.
type gtidSet struct {
	mysql *mysql.MysqlGTIDSet // nil: MariaDB
	maria map[uint32]mysql.MariadbGTID
}

func parseGTIDs(flavor topology.Flavor, text string) (*gtidSet, error) {
	text = strings.ReplaceAll(text, "\n", "")
	if flavor != topology.FlavorMariaDB {
		set, err := mysql.ParseMysqlGTIDSet(text)
		if err != nil {
			return nil, fmt.Errorf("the GTID set %q: %w", text, err)
		}
		return &gtidSet{mysql: set.(*mysql.MysqlGTIDSet)}, nil //nolint:forcetypeassert // it is what the function makes
	}
	set := &gtidSet{maria: map[uint32]mysql.MariadbGTID{}}
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		g, err := mysql.ParseMariadbGTID(one)
		if err != nil {
			return nil, fmt.Errorf("the GTID %q: %w", one, err)
		}
		set.maria[g.DomainID] = *g
	}
	return set, nil
}

// String is the set as a server spells it.
func (s *gtidSet) String() string {
	if s.mysql != nil {
		return s.mysql.String()
	}
	domains := make([]uint32, 0, len(s.maria))
	for d := range s.maria {
		domains = append(domains, d)
	}
	slices.Sort(domains)
	var b strings.Builder
	for i, d := range domains {
		if i > 0 {
			b.WriteByte(',')
		}
		g := s.maria[d]
		b.WriteString(strconv.FormatUint(uint64(d), 10) + "-" + strconv.FormatUint(uint64(g.ServerID), 10) + "-" + strconv.FormatUint(g.SequenceNumber, 10))
	}
	return b.String()
}

// position is the set in the form in which the binlog is asked for.
func (s *gtidSet) position() (mysql.GTIDSet, error) {
	if s.mysql != nil {
		return s.mysql.Clone(), nil
	}
	return mysql.ParseMariadbGTIDSet(s.String())
}

// add adds the transaction that a GTID event began; any other event is nothing.
func (s *gtidSet) add(e replication.Event) error {
	switch e := e.(type) {
	case *replication.GTIDEvent:
		return s.addMySQL(e.SID, e.Tag, e.GNO)
	case *replication.GtidTaggedLogEvent:
		return s.addMySQL(e.SID, e.Tag, e.GNO)
	case *replication.MariadbGTIDEvent:
		s.maria[e.GTID.DomainID] = e.GTID
	}
	return nil
}

func (s *gtidSet) addMySQL(sid []byte, tag mysql.Tag, n int64) error {
	u, err := uuid.FromBytes(sid)
	if err != nil {
		return fmt.Errorf("a GTID of the binlog: %w", err)
	}
	s.mysql.AddGTIDWithTag(u, tag, n)
	return nil
}
