package integration

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// timeCases have every function of time over every kind of column, around now.
func timeCases(now time.Time) []algorithmCase {
	quoted := func(layout string, times ...time.Time) []string {
		var out []string
		for _, at := range times {
			out = append(out, "'"+at.Format(layout)+"'")
		}
		return out
	}
	numbers := func(unit int64, times ...time.Time) []string {
		var out []string
		for _, at := range times {
			out = append(out, strconv.FormatInt(at.UnixMilli()/(1000/unit), 10))
		}
		return out
	}
	hour := now.Truncate(time.Hour)
	day := now.Truncate(24 * time.Hour)
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	hours := []time.Time{hour.Add(-time.Hour), hour.Add(-time.Second), hour, hour.Add(59 * time.Minute), hour.Add(time.Hour), hour.Add(-2 * time.Hour)}
	days := []time.Time{day.AddDate(0, 0, -8), day.AddDate(0, 0, -7), day.AddDate(0, 0, -1), day.Add(-time.Second), day, day.Add(23 * time.Hour), day.AddDate(0, 0, 1)}
	months := []time.Time{month.AddDate(0, -2, 0), month.AddDate(0, -1, 14), month.Add(-time.Second), month, month.AddDate(0, 0, 14), month.AddDate(0, 1, 0)}
	years := []time.Time{now.AddDate(-1, 0, 0), time.Date(now.Year(), 1, 1, 0, 0, 0, 0, time.UTC), now, now.AddDate(1, 0, 0)}
	rule := func(function string, layout string, from time.Time, more string) string {
		return fmt.Sprintf("shard: %q, from: '%s', ahead: 2%s", function, from.Format(layout), more)
	}
	const date, moment = time.DateOnly, time.DateTime
	outside := "'1999-12-31 23:59:59'"
	return []algorithmCase{
		{rule: rule("year(k)", "2006", years[0], ""), column: "DATE", values: quoted(date, years...), refused: []string{"'1999-12-31'", "NULL"}},
		{rule: rule("month(k)", "2006-01", months[0], ""), column: "DATETIME", values: quoted(moment, months...), refused: []string{outside, "NULL"}},
		{rule: rule("month(k)", "2006-01", months[0], ", layout: databases"), column: "DATE", values: quoted(date, months...), refused: []string{"'1999-12-31'"}},
		{rule: rule("week(k)", date, days[0], ""), column: "DATETIME(3)", values: quoted(moment+".000", days...), refused: []string{outside}},
		{rule: rule("week(k)", date, days[0], ", layout: databases"), column: "DATE", values: quoted(date, days...), refused: []string{"NULL"}},
		{rule: rule("day(k)", date, days[0], ""), column: "DATETIME", values: quoted(moment, days...), refused: []string{outside}},
		{rule: rule("hour(k)", "2006-01-02 15", hours[5], ""), column: "DATETIME", values: quoted(moment, hours...), refused: []string{outside}},
		{rule: rule("days(k, 3, 2026-01-01)", date, days[0], ""), column: "DATE", values: quoted(date, days...), refused: []string{"'1999-12-31'"}},
		{rule: rule("day(k, seconds)", date, days[0], ""), column: "INT UNSIGNED", values: numbers(1, days...), refused: []string{"0", "NULL"}},
		{rule: rule("hour(k, milliseconds)", "2006-01-02 15", hours[5], ", time_zone: Asia/Kolkata"), column: "BIGINT", refused: []string{"-1", "0"},
			values: numbers(1000, append(hours[:5:5], hour.Add(30*time.Minute), hour.Add(30*time.Minute-time.Millisecond))...)},
		// Midnight of the day on which New York's clocks were set back: 04:00 UTC.
		{rule: "shard: 'month(k, seconds)', from: 2026-10, ahead: 1, time_zone: America/New_York", column: "INT", values: split("1793505599 1793505600 1793509200 1793512800"), refused: split("0")},
		{rule: "shard: month(k), from: 2026-10, ahead: 1, time_zone: America/New_York", column: "TIMESTAMP NULL", zone: "+00:00",
			values: split("'2026-11-01 03:59:59' '2026-11-01 04:00:00' '2026-11-01 05:30:00' '2026-11-01 06:30:00'"), refused: split("NULL")},
		{rule: rule("day(k)", date, days[0], ", time_zone: Europe/Berlin"), column: "TIMESTAMP NULL", zone: "+08:00", values: quoted(moment, days[1:]...), refused: []string{outside, "NULL"}},
		{rule: rule("hour(k)", "2006-01-02 15", hours[5], ""), column: "TIMESTAMP(3) NULL", zone: "-03:30",
			values: quoted(moment, hours[0].Add(-210*time.Minute), hours[1].Add(-210*time.Minute), hours[2].Add(-210*time.Minute)), refused: []string{outside}},
		{rule: rule("day(k, format='%Y%m%d%H')", date, days[0], ""), column: "VARCHAR(20) COLLATE utf8mb4_general_ci", values: quoted("2006010215", days...), refused: []string{"'abc'", "NULL", "'20260230'"}},
		{rule: rule("week(k, format='%d.%m.%Y')", date, days[0], ", layout: databases"), column: "CHAR(10) COLLATE utf8mb4_bin", values: quoted("02.01.2006", days...), refused: []string{"'01.01.1999'"}},
		{rule: rule("month(k, format='%Y-%m')", "2006-01", months[0], ""), column: "VARCHAR(7) COLLATE utf8mb4_unicode_ci", values: quoted("2006-01", months...), refused: []string{"'1999-01'"}},
	}
}

// Time by every unit, from every kind of column, in both layouts.
func TestTimeAlgorithms(t *testing.T) { runAlgorithms(t, "algotime", timeCases(time.Now().UTC())) }

// A TIMESTAMP that the server makes, and one of a session whose time_zone is not
// known; one that servers change by themselves is no key.
func TestTimestampKeys(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		const schema = "stamps"
		clusters := s.Clusters(t)
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		p := startServal(t, s, settings{Schema: schema, Tables: "made: {shard: day(k), on: [c0, c1], keep: 3, ahead: 2}\ntouched: {shard: day(k), on: [c0, c1], keep: 3, ahead: 2}\n", AllSchemas: true})
		conn := oneConn(t, p.open(t, ""))
		mustExec(t, conn, "CREATE DATABASE "+schema, "USE "+schema,
			"CREATE TABLE made (id INT, k TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, v INT, PRIMARY KEY (id, k))",
			"CREATE TABLE touched (id INT, k TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, v INT, PRIMARY KEY (id, k))",
			"INSERT INTO made (id, v) VALUES (1, 1)", "INSERT INTO made VALUES (2, NOW(), 1)",
			"SET time_zone = '+08:00'", "INSERT INTO made (id, v) VALUES (3, 1)", "INSERT INTO made VALUES (4, NOW(), 1), (5, NOW() - INTERVAL 1 DAY, 1)")
		_, err := conn.ExecContext(t.Context(), "INSERT INTO made VALUES (?, ?, 1)", 6, time.Now().UTC().Add(8*time.Hour).Format(time.DateTime))
		require.NoError(t, err)
		require.Equal(t, "1", one(t, conn, "SELECT COUNT(*) FROM made WHERE k < NOW() - INTERVAL 1 HOUR"))
		require.Equal(t, "6", one(t, conn, "SELECT COUNT(*) FROM made WHERE k BETWEEN NOW() - INTERVAL 2 DAY AND NOW() + INTERVAL 1 DAY"))
		_, err = conn.ExecContext(t.Context(), "INSERT INTO touched (id, v) VALUES (1, 1)")
		require.ErrorContains(t, err, "ON UPDATE CURRENT_TIMESTAMP")
		mustExec(t, conn, "SET time_zone = 'SYSTEM'")
		_, err = conn.ExecContext(t.Context(), "INSERT INTO made VALUES (7, NOW(), 1)")
		require.ErrorContains(t, err, "SET time_zone = ")
		require.Equal(t, "6", one(t, conn, "SELECT COUNT(*) FROM made WHERE k > '2020-01-01'"), "reads ask every shard")
		out, err := runServal("check", "-c", p.Config, "--live", "--placement")
		require.Error(t, err)
		require.Contains(t, out, "the sharding column k is ON UPDATE CURRENT_TIMESTAMP")
		require.NotContains(t, out, "belong to other shards")
	})
}
