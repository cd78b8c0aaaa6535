package reshard

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// settingsSQL asks a primary for what a job needs of it.
const settingsSQL = "SELECT VERSION(), @@GLOBAL.log_bin, @@GLOBAL.binlog_format, @@GLOBAL.max_allowed_packet, @@datadir, @@GLOBAL.server_id, @@GLOBAL.binlog_row_image"

// clusters looks at the servers: what is read must be followed in the binlog,
// what is written must take the largest row that was read.
func (p *planner) clusters(ctx context.Context) error {
	packets := map[string]int64{}
	sources := map[string]bool{}
	for _, t := range p.layout.Tables {
		for _, s := range t.Sources {
			sources[s.Cluster] = true
		}
	}
	for _, name := range sortedKeys(p.loads) {
		rows, err := p.servers.Select(ctx, name, settingsSQL)
		if err != nil {
			return fmt.Errorf("cluster %s: %w", name, err)
		}
		if len(rows) != 1 || len(rows[0]) != 7 {
			return fmt.Errorf("cluster %s: unexpected answer to VERSION()", name)
		}
		r := rows[0]
		packets[name] = number(r[3])
		p.loads[name].Datadir = string(r[4])
		if p.opt.Free != nil {
			p.loads[name].Free = p.opt.Free(name, string(r[4]))
		}
		if l := p.loads[name]; l.Free >= 0 && l.BytesIn > l.Free {
			p.obstacles = append(p.obstacles, Obstacle{What: fmt.Sprintf("cluster %s would get %d bytes and has %d free in %s", name, l.BytesIn, l.Free, l.Datadir),
				Do: "make room: the old tables stay until the job is finished"})
		}
		if sources[name] {
			if err := p.followed(ctx, name, r); err != nil {
				return err
			}
		}
	}
	for _, t := range p.layout.Tables {
		for _, s := range t.Sources {
			for _, x := range t.Targets {
				if from, to := packets[s.Cluster], packets[x.Shard.Cluster]; to < from {
					p.once("set it as high there", "cluster %s has max_allowed_packet = %d and cluster %s, whose rows it gets, %d", x.Shard.Cluster, to, s.Cluster, from)
				}
			}
		}
	}
	return nil
}

// followed: the primary writes what a job follows.
func (p *planner) followed(ctx context.Context, cluster string, r [][]byte) error {
	maria := strings.Contains(string(r[0]), "MariaDB")
	if string(r[1]) != "1" {
		p.once("start its servers with log_bin", "cluster %s writes no binlog (log_bin = OFF), so its changes cannot be followed", cluster)
		return nil
	}
	if !strings.EqualFold(string(r[2]), "ROW") {
		p.once("SET GLOBAL binlog_format = ROW, and let sessions begin anew", "cluster %s has binlog_format = %s, which does not tell which rows changed", cluster, r[2])
	}
	if string(r[5]) == "0" {
		p.once("give each server a server_id of its own", "cluster %s has server_id = 0, and gives its binlog to nobody", cluster)
	}
	if image := string(r[6]); image != "FULL" {
		o := Obstacle{What: "cluster " + cluster + " has binlog_row_image = " + image + ": a statement that changes one of several columns of a primary key would stop the job",
			Do: "SET GLOBAL binlog_row_image = FULL, if there are such statements", Remark: true}
		p.obstacles = append(p.obstacles, o)
	}
	if !maria {
		rows, err := p.servers.Select(ctx, cluster, "SELECT @@GLOBAL.gtid_mode")
		if err != nil {
			return fmt.Errorf("cluster %s: %w", cluster, err)
		}
		if len(rows) != 1 || string(rows[0][0]) != "ON" {
			p.once("turn them on: enforce_gtid_consistency = ON, then gtid_mode = OFF_PERMISSIVE, ON_PERMISSIVE, ON", "cluster %s has no GTIDs (gtid_mode is not ON)", cluster)
		}
	}
	rows, err := p.servers.Select(ctx, cluster, "SHOW GRANTS")
	if err != nil {
		return fmt.Errorf("cluster %s: %w", cluster, err)
	}
	if account, ok := mayReplicate(rows); !ok {
		p.once("run there, as its administrator: GRANT REPLICATION SLAVE ON *.* TO "+account, "the backend account may not read the binlog of cluster %s", cluster)
	}
	return nil
}

// mayReplicate reads SHOW GRANTS: whether the account has REPLICATION SLAVE, or
// roles, of which nobody knows.
func mayReplicate(rows [][][]byte) (account string, ok bool) {
	for _, r := range rows {
		privileges, rest, on := strings.Cut(strings.TrimPrefix(string(r[0]), "GRANT "), " ON ")
		scope, to, _ := strings.Cut(rest, " TO ")
		if !on {
			ok = true
			continue
		}
		if account == "" {
			account, _, _ = strings.Cut(to, " ")
		}
		if scope != "*.*" {
			continue
		}
		for privilege := range strings.SplitSeq(privileges, ",") {
			switch strings.TrimSpace(privilege) {
			case "REPLICATION SLAVE", "REPLICATION REPLICA", "ALL PRIVILEGES", "ALL":
				ok = true
			}
		}
	}
	return account, ok
}

// once notes an obstacle about servers, if it has not been noted.
func (p *planner) once(do, what string, args ...any) {
	o := Obstacle{What: fmt.Sprintf(what, args...), Do: do}
	if !slices.Contains(p.obstacles, o) {
		p.obstacles = append(p.obstacles, o)
	}
}
